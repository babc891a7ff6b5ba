//! What an audit found, as machines read it; `text` shows the same to people.

use std::io::{self, Write};

use serde::Serialize;

use super::super::cluster::TopicView;
use super::super::survey::{Counts, Seen};
use crate::kafka::KafkaError;
use crate::pipeline::audit::{Examples, Flaw, Health, PartitionReport, Scope, TopicHoldings};
use crate::record::Offset;
use crate::s3::OpenedUpload;

/// Raised when a reader of the JSON would have to change.
const VERSION: u32 = 1;

/// How closely it was looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Listing,
    Metadata,
    Deep,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct AuditReport {
    version: u32,
    pub(super) mode: Mode,
    /// Only some time was asked for, so that what is gone whole cannot be seen.
    pub(super) is_part: bool,
    /// None where only names were looked at, which prove nothing.
    pub(super) health: Option<Health>,
    pub(super) topics: Vec<TopicReport>,
    objects: Seen,
    /// Why Kafka was not asked.
    pub(super) kafka_error: Option<String>,
    #[serde(skip)]
    exit_code: u8,
}

/// One topic.
#[derive(Debug, Serialize)]
pub(super) struct TopicReport {
    pub(super) topic: String,
    pub(super) bucket: String,
    pub(super) table: String,
    pub(super) dead_letters: String,
    pub(super) health: Option<Health>,
    pub(super) kafka_partitions: Vec<PartitionReport>,
    /// What names alone tell, where nothing else was looked at.
    pub(super) names: Vec<NamesReport>,
    pub(super) foreign: Examples<Flaw>,
    pub(super) contradictory: Examples<Flaw>,
    /// Objects that are not ours and that readers of the table do not see.
    pub(super) hidden: u64,
    pub(super) vanished: u64,
    pub(super) of_other_groups: u64,
    pub(super) of_other_layouts: u64,
    pub(super) open_uploads: Examples<OpenedUpload>,
    pub(super) notes: Vec<String>,
    /// What keeps Kafka from saying more.
    #[serde(skip)]
    trouble: Option<KafkaError>,
}

/// What names alone tell of a Kafka partition.
#[derive(Debug, Serialize)]
pub(super) struct NamesReport {
    pub(super) kafka_partition: i32,
    pub(super) objects: u64,
    pub(super) dead_letter_objects: u64,
    pub(super) stored_bytes: u64,
    pub(super) lowest_first: Option<Offset>,
    pub(super) highest_first: Option<Offset>,
}

impl AuditReport {
    pub(super) fn new(
        mode: Mode,
        scope: Scope,
        topics: Vec<TopicReport>,
        error: Option<KafkaError>,
        counts: &Counts,
    ) -> Self {
        let worst = topics.iter().filter_map(|topic| topic.health).max().unwrap_or_default();
        // Where names alone were looked at, Kafka was hardly needed.
        let of_topics = topics.iter().find_map(|topic| topic.trouble.as_ref());
        let blame = error.as_ref().or(of_topics).filter(|_| mode != Mode::Listing);
        Self {
            version: VERSION,
            mode,
            is_part: scope.span.is_some(),
            health: (mode != Mode::Listing).then_some(worst),
            exit_code: super::exit_code(worst, blame),
            topics,
            objects: counts.now(),
            kafka_error: error.map(|error| error.to_string()),
        }
    }

    pub(super) const fn exit_code(&self) -> u8 {
        self.exit_code
    }

    pub(super) fn print_json(&self) {
        let mut out = io::stdout().lock();
        // Whoever closed the pipe has read enough.
        let _ = serde_json::to_writer_pretty(&mut out, self).map(|()| writeln!(out));
    }
}

impl TopicReport {
    /// What belongs to the topic as a whole.
    pub(super) fn begin(view: &TopicView, holdings: &TopicHoldings) -> Self {
        let mut notes = Vec::new();
        if let Some(error) = &view.unknown {
            notes.push(format!("Kafka says nothing of it: {error}"));
        }
        Self {
            topic: view.name().to_owned(),
            bucket: view.roots.layout().bucket.to_string(),
            table: view.roots.table().to_owned(),
            dead_letters: view.roots.dead_letters().to_owned(),
            health: None,
            kafka_partitions: Vec::new(),
            names: Vec::new(),
            foreign: holdings.foreign.clone(),
            contradictory: holdings.contradictory.clone(),
            hidden: holdings.hidden,
            vanished: holdings.vanished,
            of_other_groups: holdings.of_other_groups,
            of_other_layouts: holdings.of_other_layouts,
            open_uploads: Examples::default(),
            notes,
            trouble: view.trouble(holdings.partitions.is_empty()),
        }
    }

    /// Of names alone: nothing is called whole, and only what is not ours is called wrong.
    pub(super) fn of_names(view: &TopicView, holdings: &TopicHoldings) -> Self {
        let mut report = Self::begin(view, holdings);
        let filled = holdings.partitions.iter().filter(|(_, it)| it.firsts.is_some());
        report.names = filled
            .map(|(number, holdings)| NamesReport {
                kafka_partition: *number,
                objects: holdings.objects,
                dead_letter_objects: holdings.dead_letter_objects,
                stored_bytes: holdings.stored_bytes,
                lowest_first: holdings.firsts.map(|(lowest, _)| lowest),
                highest_first: holdings.firsts.map(|(_, highest)| highest),
            })
            .collect();
        report.health = Some(report.judged()).filter(|health| *health == Health::Bad);
        report
    }

    /// The worst of what is in it.
    pub(super) fn judged(&self) -> Health {
        let partitions = self.kafka_partitions.iter().map(|partition| partition.health);
        let worst = partitions.max().unwrap_or_default();
        let bad = self.foreign.count + self.contradictory.count > 0;
        let note = !self.notes.is_empty() || self.open_uploads.count > 0;
        match (bad, self.is_empty(), note) {
            (true, ..) => Health::Bad,
            (false, true, _) => worst.max(Health::Open),
            (false, false, true) => worst.max(Health::Note),
            (false, false, false) => worst,
        }
    }

    /// Kafka has records, and nothing of them is here: it may be the wrong place.
    pub(super) fn is_empty(&self) -> bool {
        let has_records = |it: &PartitionReport| it.log.is_some_and(|log| log.len() > 0);
        self.kafka_partitions.iter().any(has_records)
            && self.kafka_partitions.iter().all(PartitionReport::is_empty)
    }
}
