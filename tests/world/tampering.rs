//! What somebody else does to a group without members: offsets set by hand or deleted, a topic made
//! again, another group id on the same prefix. Whatever it was, nothing may be doubled: a Kafka
//! partition begins where nothing can be, or stops and says so.

use std::sync::Arc;

use kafka_s3_sink::pipeline::is_ours;
use kafka_s3_sink::record::{Committed, Offset, TopicPartition};

use crate::topic::Log;
use crate::world::World;

impl World {
    pub(crate) fn tamper(&mut self) {
        if self.is_broker_away() {
            return;
        }
        while !self.processes.is_empty() {
            self.remove(0, "crash");
        }
        // Zombies may put what they had pinned, and nobody knows of it once the pin is gone.
        self.operations.clear();
        self.flights.clear();
        self.group.dissolve();
        match self.dice.below(4) {
            0 => self.set_by_hand(),
            1 => self.delete_offsets(),
            2 => self.make_again(),
            _ => self.change_group(),
        }
        // Where none of ours is left in a topic, a new Kafka partition cannot be told from a lost
        // one.
        let ours = |at: &TopicPartition| self.group.offsets.get(at).is_some_and(is_ours);
        for topic in self.topics.iter().filter(|topic| !topic.partitions().any(|at| ours(&at))) {
            self.tampered.extend(topic.partitions());
        }
        self.start_process();
    }

    fn set_by_hand(&mut self) {
        let all = self.all();
        let at = self.dice.pick(&all).clone();
        let end = self.log(&at).end;
        let offset = self.dice.below(end as u64 + 1) as i64;
        let log = self.log(&at);
        let below = log.entries.partition_point(|entry| entry.offset < offset);
        let passed = log.entries[..below].to_vec();
        self.oracle.deleted(&passed);
        self.oracle.forget(&at);
        let held = Committed { offset: Some(Offset(offset)), metadata: String::new() };
        self.group.offsets.insert(at.clone(), held);
        self.note("offset set by hand", || format!("{at} {offset}"));
        self.tampered.insert(at);
    }

    /// Of one Kafka partition, of a topic, or of all.
    fn delete_offsets(&mut self) {
        let all = self.all();
        let at = self.dice.pick(&all).clone();
        let reach = self.dice.below(3);
        let gone = |it: &TopicPartition| match reach {
            0 => *it == at,
            1 => it.topic == at.topic,
            _ => true,
        };
        let gone: Vec<_> = all.iter().filter(|it| gone(it)).cloned().collect();
        self.lose(&gone);
        self.note("offsets deleted", || format!("{} of {}", gone.len(), all.len()));
    }

    fn make_again(&mut self) {
        let index = self.dice.below(self.topics.len() as u64) as usize;
        let topic = &mut self.topics[index];
        topic.id = Arc::from(format!("{}+", topic.id));
        let old: Vec<_> = topic.logs.iter_mut().map(std::mem::take).collect();
        let entries: Vec<_> = old.into_iter().flat_map(|log: Log| log.entries).collect();
        let partitions: Vec<_> = topic.partitions().collect();
        self.oracle.deleted(&entries);
        partitions.iter().for_each(|at| self.oracle.forget(at));
        // Kafka deletes the offsets with the topic, after a while. One that somebody set would be
        // followed into the new topic, and pass records over.
        let ours = partitions.iter().filter_map(|at| self.group.offsets.get(at)).all(is_ours);
        if ours && self.dice.one_in(3) {
            self.tampered.extend(partitions.iter().cloned());
        } else {
            self.lose(&partitions);
        }
        self.note("topic made again", || partitions[0].topic.to_string());
    }

    fn change_group(&mut self) {
        self.group_hash = format!("{}+", self.group_hash).into();
        let all = self.all();
        self.lose(&all);
        self.note("offsets of another group", String::new);
    }

    fn lose(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.group.offsets.remove(at);
            self.oracle.forget(at);
            self.tampered.insert(at.clone());
        }
    }
}
