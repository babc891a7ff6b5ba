//! The Kafka partitions of one lane, in order, found fast where records come in runs.
//!
//! Owned by `sink`.

use super::moment::Moment;
use super::partition::Partition;
use crate::record::TopicPartition;

/// In the order of their names.
#[derive(Default)]
pub(super) struct Partitions {
    #[expect(clippy::vec_box, reason = "they are large, and move when others come and go")]
    sorted: Vec<Box<Partition>>,
    /// When each of them is due, in the same order.
    due: Vec<Option<Moment>>,
    /// The earliest of these.
    earliest: Option<Moment>,
    /// Where the one stands that was asked for last: records of one come together.
    latest: usize,
}

impl Partitions {
    /// Takes one in, in place of one of the same name.
    pub(super) fn insert(&mut self, partition: Partition) {
        match self.place(&partition.at) {
            Ok(index) => *self.sorted[index] = partition,
            Err(index) => {
                self.sorted.insert(index, Box::new(partition));
                self.due.insert(index, None);
            }
        }
    }

    pub(super) fn remove(&mut self, at: &TopicPartition) {
        if let Ok(index) = self.place(at) {
            self.sorted.remove(index);
            let was = self.due.remove(index);
            self.earliest_after(was, None);
        }
    }

    /// The one that was asked for last is due then.
    pub(super) fn set_due(&mut self, due: Option<Moment>) {
        let was = std::mem::replace(&mut self.due[self.latest], due);
        self.earliest_after(was, due);
    }

    /// All are looked at only where the earliest of them has gone.
    fn earliest_after(&mut self, was: Option<Moment>, now: Option<Moment>) {
        if now.is_some() && self.earliest.is_none_or(|earliest| now <= Some(earliest)) {
            self.earliest = now;
        } else if was.is_some() && was == self.earliest {
            self.earliest = self.due.iter().flatten().min().copied();
        }
    }

    /// When the first of them is due.
    pub(super) const fn earliest(&self) -> Option<Moment> {
        self.earliest
    }

    pub(super) fn get(&self, at: &TopicPartition) -> Option<&Partition> {
        self.place(at).ok().map(|index| &*self.sorted[index])
    }

    pub(super) fn get_mut(&mut self, at: &TopicPartition) -> Option<&mut Partition> {
        if self.sorted.get(self.latest).is_none_or(|latest| latest.at != *at) {
            self.latest = self.place(at).ok()?;
        }
        self.sorted.get_mut(self.latest).map(|partition| &mut **partition)
    }

    pub(super) const fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Partition> {
        self.sorted.iter().map(|partition| &**partition)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.sorted.iter_mut().map(|partition| &mut **partition)
    }

    fn place(&self, at: &TopicPartition) -> Result<usize, usize> {
        self.sorted.binary_search_by(|partition| partition.at.cmp(at))
    }
}
