use std::fs;
use std::io::Write;

use super::*;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn count(&self, sequences: Range<u64>, absent: &[u64]) -> Census {
        let expected = Expected { sequences, absent: absent.iter().copied().collect() };
        count(&self.dir.path().join("raw"), &self.dir.path().join("dead"), &expected).unwrap()
    }
}

fn lines(sequences: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let lines = sequences.into_iter().map(|it| format!("{{\"a\":1,\"sequence\":{it}}}\n"));
    lines.collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn dead_letter(offset: i64, value: Option<&[u8]>) -> Vec<u8> {
    let value = value.map(|it| base64::engine::general_purpose::STANDARD.encode(it));
    let letter = serde_json::json!({
        "topic": "orders", "partition": 0, "offset": offset, "value": value, "reason": "odd",
    });
    format!("{letter}\n").into_bytes()
}

#[test]
fn every_record_once_is_exact_whatever_the_compression() {
    let world = World::new();
    world.put("raw/dt=1/hour=00/a.json.gz", &gzip(&lines(0..100)));
    let zst = zstd::encode_all(lines(100..150).as_slice(), 1).unwrap();
    world.put("raw/dt=1/hour=01/b.json.zst", &zst);
    world.put("raw/c.json", lines(150..200).trim_ascii_end());
    let census = world.count(0..200, &[]);
    assert!(census.is_exact(), "{census:?}");
    assert_eq!((census.objects, census.records, census.dead_letters), (3, 200, 0));
    assert!(census.stored_bytes > 0);
}

#[test]
fn missing_doubled_and_strange_ones_are_told_apart() {
    let world = World::new();
    world.put("raw/a.json", &lines([10, 11, 11, 12, 99]));
    world.put("raw/b.json", b"{}\n\n");
    world.put("raw/c.json.gz", &gzip(&lines([10])));
    let census = world.count(10..20, &[]);
    assert_eq!((census.missing, census.doubled, census.strange), (7, 2, 3));
    assert!(!census.is_exact());
}

#[test]
fn dead_letters_count_as_landed_and_tombstones_as_absent() {
    let world = World::new();
    world.put("raw/a.json", &lines(0..7));
    let letters = [
        dead_letter(7, Some(br#"[{"sequence":7}]"#)),
        dead_letter(8, Some(b"\xFF \"sequence\":8 }")),
        dead_letter(9, None),
    ];
    world.put("dead/orders/x.json.gz", &gzip(&letters.concat()));
    let census = world.count(0..10, &[9]);
    assert!(census.is_exact(), "{census:?}");
    assert_eq!((census.dead_letter_objects, census.dead_letters), (1, 3));
    assert_eq!(world.count(0..10, &[]).missing, 1);
}

#[test]
fn a_record_that_landed_twice_in_different_ways_is_doubled() {
    let world = World::new();
    world.put("raw/a.json", &lines(0..3));
    let letter = dead_letter(2, Some(br#"{"sequence":2 "#));
    world.put("dead/a.json", &letter);
    assert_eq!(world.count(0..3, &[]).doubled, 1);
    world.put("dead/b.json", &letter);
    assert_eq!(world.count(0..3, &[]).doubled, 2);
}

#[test]
fn an_absent_record_that_landed_is_no_loss() {
    let world = World::new();
    world.put("raw/a.json", &lines(0..3));
    assert!(world.count(0..3, &[1, 77]).is_exact());
}

#[test]
fn a_broken_object_is_an_error_and_says_which() {
    let world = World::new();
    let whole = gzip(&lines(0..1_000));
    world.put("raw/broken.json.gz", &whole[..whole.len() / 2]);
    let expected = Expected { sequences: 0..1_000, absent: HashSet::new() };
    let failed = count(&world.dir.path().join("raw"), world.dir.path(), &expected).unwrap_err();
    assert!(failed.to_string().contains("broken.json.gz"), "{failed}");
}

#[test]
fn the_line_for_duckdb_is_safe_in_a_shell() {
    let line = duckdb_line(Path::new("/tmp/it's $HOME/orders"), &["dt", "hour"], "json.gz");
    let wanted = "duckdb -c \"SELECT dt, hour, count(*) AS records FROM \
        read_json('/tmp/it''s \\$HOME/orders/*/*/*.json.gz', hive_partitioning=true, \
        hive_types_autocast=false) GROUP BY ALL ORDER BY ALL\"";
    assert_eq!(line, wanted);
}
