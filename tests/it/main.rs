//! All integration tests, in one binary.

#![allow(clippy::disallowed_methods, reason = "tests with real servers run on the wall clock")]

#[path = "../support/mod.rs"]
mod support;

// Tests begin in the order of their names, and its longest takes minutes, which it mostly waits.
mod alerts;
mod athena;
mod audit;
mod check;
mod container;
mod ddl;
mod demo;
mod deploy;
mod deploy_kafka;
mod deploy_service;
mod embedded_store;
mod guides;
mod harness;
mod house;
mod kafka_edge;
mod kubernetes;
mod notebook;
mod oracle;
mod recover;
mod s3_store;
mod sink;
mod topics;
