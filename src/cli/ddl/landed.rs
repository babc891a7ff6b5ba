//! A sample of the lines that have landed, for those who reach no broker. The newest objects are read,
//! a share of each, and of none more than it takes.
//!
//! ```text
//! folders (newest day and hour first; values of a field alike) > objects of one place > lines
//! ```

use std::io::{self, BufRead, BufReader, Read};

use tokio::runtime::Runtime;

use super::super::body::Body;
use crate::cli::survey::patiently;
use crate::pipeline::audit::{ObjectName, Roots};
use crate::record::{Compression, HiveKey, StoreError};
use crate::s3::Store;

/// Objects of one place that are read at most, and values of a field that are looked into.
const AT_MOST: usize = 32;
/// Bytes after which a sample is large enough, however few its lines are.
const MAX_BYTES: usize = 16 << 20;

/// Where a sample is taken.
pub(super) struct Landed<'a> {
    pub(super) store: &'a Store,
    pub(super) runtime: &'a Runtime,
    pub(super) roots: Roots,
}

impl Landed<'_> {
    /// As many of the newest lines, or fewer where there are no more. Blocks.
    pub(super) fn lines(&self, at_most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut sample = Sample::default();
        let keys = &self.roots.layout().partition_by;
        self.below(self.roots.table(), keys, at_most, &mut sample)?;
        Ok(sample.lines)
    }

    /// Adds lines of what stands below a folder that these keys go on from.
    fn below(
        &self,
        folder: &str,
        keys: &[HiveKey],
        mut left: usize,
        sample: &mut Sample,
    ) -> Result<(), StoreError> {
        let Some((key, deeper)) = keys.split_first() else {
            return self.place(folder, left, sample);
        };
        // Newest first; records without a usable timestamp stand in 1970 and come last.
        let mut folders: Vec<_> = self.list(folder, true)?.1;
        folders.reverse();
        let is_field = matches!(key, HiveKey::Field { .. });
        folders.truncate(if is_field { AT_MOST } else { usize::MAX });
        for (number, one) in folders.iter().enumerate() {
            if left == 0 || sample.is_full() {
                break;
            }
            let share = if is_field { left.div_ceil(folders.len() - number) } else { left };
            let before = sample.lines.len();
            self.below(one, deeper, share, sample)?;
            left -= (sample.lines.len() - before).min(left);
        }
        Ok(())
    }

    /// The objects and the folders right below one.
    fn list(
        &self,
        folder: &str,
        folders: bool,
    ) -> Result<(Vec<ObjectName>, Vec<String>), StoreError> {
        let bucket = &self.roots.layout().bucket;
        let (mut objects, mut below, mut next) = (Vec::new(), Vec::new(), None);
        loop {
            let ask = || self.store.list_page(bucket, folder, folders, next.clone());
            let page = self.runtime.block_on(patiently(ask))?;
            objects.extend(page.objects.iter().filter_map(|it| self.roots.read(&it.key).ok()));
            below.extend(page.folders);
            next = page.next;
            if next.is_none() {
                return Ok((objects, below));
            }
        }
    }

    fn place(&self, folder: &str, left: usize, sample: &mut Sample) -> Result<(), StoreError> {
        let objects = newest(self.list(folder, false)?.0);
        let end = sample.lines.len() + left;
        for (number, name) in objects.iter().enumerate() {
            if sample.lines.len() >= end || sample.is_full() {
                break;
            }
            let share = (end - sample.lines.len()).div_ceil(objects.len() - number);
            self.object(name, share, sample)?;
        }
        Ok(())
    }

    /// Adds the first lines of an object; one that cannot be decoded is `audit`'s to tell of.
    fn object(
        &self,
        name: &ObjectName,
        share: usize,
        sample: &mut Sample,
    ) -> Result<(), StoreError> {
        let address = self.roots.address(name);
        let begun = self.runtime.block_on(patiently(|| self.store.get(&address)))?;
        let Some(bytes) = begun else { return Ok(()) };
        let mut body = Body::new(bytes, self.runtime, |_| ());
        let _ = match name.compression {
            Compression::Gzip => sample.take(flate2::bufread::GzDecoder::new(&mut body), share),
            Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut body)
                .and_then(|decoder| sample.take(decoder, share)),
            Compression::None => sample.take(&mut body, share),
        };
        body.failed.map_or(Ok(()), Err)
    }
}

/// The newest of each Kafka partition first, so that a few tell of all of them.
fn newest(mut objects: Vec<ObjectName>) -> Vec<ObjectName> {
    objects.sort_by_key(|name| (name.partition, std::cmp::Reverse(name.first)));
    let (mut rank, mut of) = (0, None);
    let mut ranked: Vec<_> = objects
        .into_iter()
        .map(|name| {
            rank = if of == Some(name.partition) { rank + 1 } else { 0 };
            of = Some(name.partition);
            (rank, name)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, name)| name).take(AT_MOST).collect()
}

#[derive(Default)]
struct Sample {
    lines: Vec<Vec<u8>>,
    bytes: usize,
}

impl Sample {
    fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES
    }

    fn take(&mut self, text: impl Read, share: usize) -> io::Result<()> {
        let mut text = BufReader::new(text);
        for _ in 0..share {
            let mut line = Vec::new();
            // One that is longer than that is cut, and counts as a line that cannot be read.
            (&mut text).take(2 * MAX_BYTES as u64).read_until(b'\n', &mut line)?;
            if line.is_empty() || self.is_full() {
                break;
            }
            self.bytes += line.len();
            self.lines.push(line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Offset;

    fn name(partition: i32, first: i64) -> ObjectName {
        ObjectName { partition, first: Offset(first), compression: Compression::None, path: None }
    }

    #[test]
    fn the_newest_of_each_kafka_partition_come_first() {
        let found = newest(vec![name(0, 1), name(0, 2), name(0, 3), name(1, 5), name(2, 4)]);
        let found: Vec<_> = found.iter().map(|name| (name.partition, name.first.0)).collect();
        assert_eq!(found, [(0, 3), (1, 5), (2, 4), (0, 2), (0, 1)]);
        assert_eq!(newest((0..100).map(|first| name(0, first)).collect()).len(), AT_MOST);
    }

    #[test]
    fn a_share_is_no_more_than_it_says_and_broken_objects_give_what_they_can() {
        let mut sample = Sample::default();
        sample.take(&b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"[..], 2).unwrap();
        assert_eq!(sample.lines, [b"{\"a\":1}\n", b"{\"a\":2}\n"]);
        let broken = flate2::bufread::GzDecoder::new(&b"no gzip"[..]);
        assert!(sample.take(broken, 5).is_err());
        assert_eq!(sample.lines.len(), 2);
    }
}
