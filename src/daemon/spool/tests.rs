//! The spool on a real folder.

use super::*;
use crate::telemetry::{Metrics, Status};

fn spool(most: u64) -> (FileSpool, tempfile::TempDir, Metrics) {
    let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::new());
    (FileSpool::new(folder.path(), most, metrics.spool()), folder, metrics)
}

fn value(metrics: &Metrics, name: &str) -> i64 {
    let text = metrics.render(&Status::new());
    let line = text.lines().find(|line| line.starts_with(&format!("kafka_s3_sink_{name} ")));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).expect(name)
}

#[test]
fn files_are_counted_as_long_as_they_are_held() {
    let (spool, _folder, metrics) = spool(2);
    let (first, second) = (spool.open().unwrap(), spool.open().unwrap());
    assert!(spool.open().is_none(), "one too many");
    first.write(0, b"12345").unwrap();
    second.write(0, b"123").unwrap();
    assert_eq!((value(&metrics, "spool_files"), value(&metrics, "spool_bytes")), (2, 8));
    drop(first);
    assert_eq!((value(&metrics, "spool_files"), value(&metrics, "spool_bytes")), (1, 3));
    assert!(spool.open().is_some(), "one less");
}

#[test]
fn a_spool_that_lost_bytes_is_not_written_to() {
    let (spool, _folder, _) = spool(9);
    let file = spool.open().unwrap();
    file.write(0, b"12345").unwrap();
    assert_eq!(file.read(1, 3).unwrap(), "234");
    assert!(spool.open().is_some());
    assert!(file.read(4, 3).is_err());
    assert!(spool.open().is_none());
    assert_eq!(file.read(0, 5).unwrap(), "12345", "what is there can still be read");
}

#[test]
fn a_folder_that_goes_ends_nothing() {
    let (spool, folder, _) = spool(9);
    let file = spool.open().unwrap();
    drop(folder);
    file.write(0, b"12345").unwrap();
    assert_eq!(file.read(0, 5).unwrap(), "12345");
    assert!(spool.open().is_none());
}

#[test]
fn what_cannot_be_a_spool_is_told_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(folder.path()), Ok(()));
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for wrong in [folder.path().join("none"), file] {
        let error = check(&wrong).expect_err("no folder");
        assert!(error.starts_with("memory.spool_dir = ") && error.contains("folder"), "{error}");
    }
}
