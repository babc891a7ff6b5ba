//! What stands in a bucket after a run: whether every record landed, in how many objects and bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::bucket::{Bucket, Listed};

/// What landed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Landed {
    pub(crate) records: u64,
    pub(crate) objects: u64,
    pub(crate) stored: u64,
}

/// Counts what the sink put by what its objects say of themselves. The ranges of the batches must
/// follow each other without a gap and without an overlap, in each Kafka partition from 0 on.
pub(crate) fn by_metadata(bucket: &Bucket) -> Landed {
    let mut landed = Landed::default();
    let mut batches = BTreeSet::new();
    for object in objects(bucket) {
        let metadata = bucket.metadata(&object.key);
        let number = |name: &str| {
            let number = metadata.get(name).and_then(|text| text.parse::<u64>().ok());
            number.unwrap_or_else(|| panic!("{}: no {name} in {metadata:?}", object.key))
        };
        batches.insert((number("partition"), number("base"), number("end")));
        landed.records += number("records");
        landed.objects += 1;
        landed.stored += object.size;
    }
    let mut next = BTreeMap::new();
    for (partition, base, end) in batches {
        let expected = next.insert(partition, end).unwrap_or(0);
        assert_eq!(base, expected, "the batches of Kafka partition {partition} follow each other");
    }
    landed
}

/// All objects of tables and dead letters; not the probe's.
pub(crate) fn objects(bucket: &Bucket) -> Vec<Listed> {
    let mut found = bucket.list("");
    found.retain(|object| !object.key.contains(".kafka-s3-sink-probe"));
    found
}

/// Counts lines of what any sink put, an object once, until it changes.
#[derive(Default)]
pub(crate) struct ByLines {
    seen: BTreeMap<String, (u64, u64)>,
}

impl ByLines {
    /// Looks at what is new.
    pub(crate) fn look(&mut self, bucket: &Bucket) -> Landed {
        let listed = objects(bucket);
        let mut landed = Landed { objects: listed.len() as u64, ..Landed::default() };
        for object in listed {
            landed.stored += object.size;
            let known = self.seen.get(&object.key).filter(|(size, _)| *size == object.size);
            let lines = known.map_or_else(|| lines_of(bucket, &object.key), |(_, lines)| *lines);
            self.seen.insert(object.key, (object.size, lines));
            landed.records += lines;
        }
        landed
    }
}

/// Lines, whatever the extension says: by the first bytes.
fn lines_of(bucket: &Bucket, key: &str) -> u64 {
    let body = bucket.get(key).body;
    let text: Box<dyn std::io::Read> = match body.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(body.as_slice())),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(zstd::stream::read::Decoder::new(body.as_slice()).expect("a decoder"))
        }
        _ => Box::new(body.as_slice()),
    };
    count_lines(text).unwrap_or_else(|error| panic!("{key}: {error}"))
}

fn count_lines(mut text: impl std::io::Read) -> std::io::Result<u64> {
    let mut part = vec![0; 1 << 18];
    let (mut lines, mut last) = (0, b'\n');
    loop {
        let read = text.read(&mut part)?;
        let Some(end) = part[..read].last() else { break };
        lines += memchr::memchr_iter(b'\n', &part[..read]).count() as u64;
        last = *end;
    }
    // The last line may have no end.
    Ok(lines + u64::from(last != b'\n'))
}

/// Takes everything out of a bucket, so that the disk does not fill up.
pub(crate) fn empty(bucket: &Bucket) {
    bucket.list("").iter().for_each(|object| bucket.delete(&object.key));
}
