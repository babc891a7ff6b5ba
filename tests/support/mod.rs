//! The harness of the end-to-end tests: real servers, the real binary, and an oracle that counts.
//!
//! `tools` knows where the servers are installed and whether tests may run without them,
//! `process` starts and ends children, `workdir` has their folders and ports, `kafka` and `minio`
//! are the servers, `sink` the daemon under test, `bucket` reads back what it wrote and compares
//! it with what was produced, `cloud` stands in for AWS and `trino` for Athena's engine,
//! `prometheus` scrapes and judges what is scraped. `machine` boots a small one, for what `deploy/`
//! installs; `container` builds and runs the image. `disk` makes disks that are soon full.

// Each test binary that includes the harness uses a part of it.
#![allow(dead_code, unused_imports, reason = "shared by test binaries that use different parts")]

pub(crate) mod bucket;
pub(crate) mod cloud;
pub(crate) mod container;
pub(crate) mod disk;
pub(crate) mod flags;
pub(crate) mod http;
pub(crate) mod kafka;
pub(crate) mod machine;
pub(crate) mod minio;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod sink;
pub(crate) mod tools;
pub(crate) mod trino;
pub(crate) mod workdir;
