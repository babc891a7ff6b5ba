//! The `s3` room against a real MinIO, and against servers that misbehave on purpose.

#![allow(clippy::disallowed_methods, reason = "tests of an edge: they wait and measure")]

mod answers;
mod credentials;
mod errors;
mod fixtures;
mod hang;
mod multipart;
mod probe;
mod proxy;
mod put;
mod rights;
#[path = "../support/mod.rs"]
mod support;
mod tls;
