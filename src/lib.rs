//! Kafka to S3: every record exactly once, as newline-delimited JSON under Hive-style prefixes.
//!
//! The rooms and the arrows between them are in ARCHITECTURE.md.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod kafka;
pub mod pipeline;
pub mod record;
pub mod s3;
pub mod telemetry;
