//! The same bucket as a reader without any knowledge of the sink sees it: DuckDB, by `read_back.py`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::super::tools;
use super::Bucket;

/// What DuckDB says of a table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Table {
    /// All rows.
    pub(crate) rows: u64,
    /// Distinct pairs of Kafka partition and sequence number.
    pub(crate) distinct: u64,
    /// Rows by Kafka partition.
    pub(crate) by_kafka_partition: BTreeMap<String, u64>,
    /// Rows by Hive path.
    pub(crate) by_hive_partition: BTreeMap<String, u64>,
    /// The types of the Hive keys.
    pub(crate) hive_key_types: BTreeMap<String, String>,
}

pub(super) fn query(bucket: &Bucket, table: &str) -> Table {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/read_back.py");
    let output = Command::new(tools::dir().join("venv/bin/python"))
        .arg(script)
        .arg(format!("s3://{}/{table}", bucket.name()))
        .envs(bucket.credentials())
        .env("AWS_ENDPOINT_URL", bucket.endpoint())
        .output()
        .expect("python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "read_back.py: {error}");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}
