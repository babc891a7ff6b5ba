//! Every line of the objects of one Kafka partition: against what the object says of itself, and
//! against Kafka's records where it still has them. Objects stream through; of a batch the hashes
//! of its lines are held.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Runtime;

use super::super::body::Body;
use super::super::survey::{Counts, patiently};
use super::AuditError;
use crate::kafka::{KafkaError, RangeReader};
use crate::pipeline::audit::{
    Comparison, Content, Expected, Flaw, KnownBatch, KnownObject, ObjectContent, ObjectName, Roots,
    TargetLines, check_content,
};
use crate::record::{OffsetRange, StoreError, TopicPartition};
use crate::s3::Store;

/// How often an object is read before the reading itself is given up.
const TRIES: u32 = 3;

/// One Kafka partition.
pub(super) struct Deep<'a> {
    pub(super) roots: &'a Roots,
    pub(super) at: &'a TopicPartition,
    pub(super) layout_hash: String,
    pub(super) log: Option<OffsetRange>,
    /// Only some Hive partitions were looked at.
    pub(super) is_part: bool,
    pub(super) compacted: bool,
    pub(super) store: &'a Store,
    pub(super) runtime: &'a Runtime,
    pub(super) counts: &'a Arc<Counts>,
}

impl Deep<'_> {
    pub(super) fn read(
        &self,
        batches: &[KnownBatch],
        mut reader: Option<&mut RangeReader>,
    ) -> Result<Content, AuditError> {
        let mut content = Content::default();
        for batch in batches {
            let expected = match &mut reader {
                Some(reader) if self.is_comparable(batch) => Some(self.expected(batch, reader)?),
                _ => None,
            };
            match expected {
                Some(_) => content.compared += 1,
                None => content.not_compared += 1,
            }
            for object in &batch.objects {
                self.object(batch, object, expected.as_ref(), &mut content)?;
            }
            if let Some(expected) = &expected {
                self.find_missing(batch, expected, &mut content);
            }
        }
        Ok(content)
    }

    /// Whether Kafka has all of the batch, and today's code makes its lines.
    fn is_comparable(&self, batch: &KnownBatch) -> bool {
        let range = batch.facts.range;
        let is_there =
            |log: OffsetRange| log.base <= batch.facts.first.offset && range.end <= log.end;
        *batch.facts.layout_hash == *self.layout_hash && self.log.is_some_and(is_there)
    }

    fn expected(
        &self,
        batch: &KnownBatch,
        reader: &mut RangeReader,
    ) -> Result<Expected, KafkaError> {
        let mut expected = Expected::new(self.roots.layout(), self.at);
        reader.read(self.at, batch.lands(), &mut |record| {
            expected.take(record);
            true
        })?;
        Ok(expected)
    }

    fn object(
        &self,
        batch: &KnownBatch,
        object: &KnownObject,
        expected: Option<&Expected>,
        content: &mut Content,
    ) -> Result<(), AuditError> {
        let nothing = TargetLines::default();
        let lines = expected.map(|it| it.lines().get(&object.name.path).unwrap_or(&nothing));
        let is_todays = *batch.facts.layout_hash == *self.layout_hash;
        let with = Comparison {
            layout: is_todays.then(|| self.roots.layout().deref()),
            lines,
            compacted: self.compacted,
        };
        let key = self.roots.address(&object.name).key.to_string();
        let Some(found) = self.content(batch, object, with)? else {
            let reason = "it was there a moment ago, and is gone".to_owned();
            content.flaws.add(Flaw { key, reason });
            return Ok(());
        };
        content.objects += 1;
        content.records += found.records;
        content.bytes += found.bytes;
        for reason in found.flaws {
            content.flaws.add(Flaw { key: key.clone(), reason });
        }
        Ok(())
    }

    /// Reads an object to its end; a connection that breaks is no flaw of the object, unless it
    /// breaks every time.
    fn content(
        &self,
        batch: &KnownBatch,
        object: &KnownObject,
        with: Comparison<'_>,
    ) -> Result<Option<ObjectContent>, StoreError> {
        let address = self.roots.address(&object.name);
        let mut failed = None;
        for _ in 0..TRIES {
            let begun = self.runtime.block_on(patiently(|| self.store.get(&address)))?;
            let Some(bytes) = begun else { return Ok(None) };
            let came = |len| {
                self.counts.read_bytes.fetch_add(len, Ordering::Relaxed);
            };
            let mut body = Body::new(bytes, self.runtime, came);
            let found = check_content(&mut body, batch, object, with);
            match body.failed {
                None => {
                    self.counts.read.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(found));
                }
                error => failed = error,
            }
        }
        let flaws = failed.map(|error| format!("its bytes cannot be had: {error}"));
        Ok(Some(ObjectContent { flaws: flaws.into_iter().collect(), ..Default::default() }))
    }

    /// Objects that the batch must have by Kafka's records, and has not. Of a batch of which
    /// objects are missing the metadata has said so already.
    fn find_missing(&self, batch: &KnownBatch, expected: &Expected, content: &mut Content) {
        if self.is_part || batch.seen < batch.facts.objects {
            return;
        }
        for (path, lines) in expected.lines() {
            if batch.objects.iter().any(|object| object.name.path == *path) {
                continue;
            }
            let Some(like) = batch.objects.first() else { return };
            let name = ObjectName { path: path.clone(), ..like.name.clone() };
            let reason = format!(
                "it is not there, and {} of Kafka's records of the batch {} belong into it",
                lines.len(),
                batch.facts.range
            );
            content.flaws.add(Flaw { key: self.roots.address(&name).key.to_string(), reason });
        }
    }
}
