//! What Kafka and the group say of the topics that `audit` and `recover` look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Settings, matcher};
use crate::kafka::{Answers, KafkaError, Onlooker};
use crate::pipeline::audit::Roots;
use crate::record::{Committed, OffsetRange, TopicFacts, TopicPartition};

/// A topic, as far as Kafka tells.
pub(super) struct TopicView {
    /// Where its objects stand.
    pub(super) roots: Roots,
    /// What is known of its Kafka partitions.
    pub(super) facts: BTreeMap<i32, Result<TopicFacts, KafkaError>>,
    /// Why nothing is known of it.
    pub(super) unknown: Option<KafkaError>,
}

impl TopicView {
    /// The name.
    pub(super) fn name(&self) -> &str {
        self.roots.topic()
    }

    /// What is known of a Kafka partition.
    pub(super) fn facts_of(&self, number: i32) -> Option<&TopicFacts> {
        self.facts.get(&number)?.as_ref().ok()
    }

    /// What the group holds for it; none where nobody could say.
    pub(super) fn held(&self, number: i32) -> Option<Committed> {
        let facts = self.facts_of(number)?;
        Some(facts.committed.get(&number).cloned().unwrap_or_default())
    }

    /// What Kafka has of it.
    pub(super) fn log(&self, number: i32) -> Option<OffsetRange> {
        let facts = self.facts_of(number)?;
        Some(OffsetRange { base: facts.log_start, end: facts.log_end })
    }

    /// What keeps Kafka from saying more. A topic that was deleted is none, as long as there are
    /// objects of it to look at.
    pub(super) fn trouble(&self, nothing_there: bool) -> Option<KafkaError> {
        let unknown = self.unknown.as_ref();
        let unknown = unknown.filter(|error| nothing_there || !error.is_to_be_mended());
        unknown.or_else(|| self.facts.values().find_map(|facts| facts.as_ref().err())).cloned()
    }

    fn partitions(&self, count: i32) -> Vec<TopicPartition> {
        (0..count).map(|number| self.roots.partition(number)).collect()
    }
}

/// The topics that are looked at.
pub(super) struct Topics {
    /// Each, with the number of its Kafka partitions where Kafka tells it.
    counted: Vec<(TopicView, Option<i32>)>,
}

impl Topics {
    /// Those of the command line, else those of the settings. Names stay where Kafka knows
    /// nothing of them, for their objects may still be there.
    pub(super) fn find(
        settings: &Settings,
        named: &[String],
        onlooker: &Result<Onlooker, KafkaError>,
    ) -> (Self, Option<KafkaError>) {
        let wanted = if named.is_empty() { &settings.kafka.topics } else { named };
        let there = onlooker.as_ref().map_err(Clone::clone).and_then(Onlooker::topics);
        let (there, error) = match there {
            Ok(there) => (there, None),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        let matches = matcher(wanted);
        let mut counts: BTreeMap<&str, Option<i32>> = BTreeMap::new();
        let plain = wanted.iter().filter(|name| !name.starts_with('^'));
        counts.extend(plain.map(|name| (name.as_str(), None)));
        let found = there.iter().filter(|(name, _)| matches(name));
        counts.extend(found.map(|(name, count)| (name.as_str(), Some(*count))));
        let view = |(name, count): (&str, Option<i32>)| {
            let roots = Roots::of(&settings.topics.of(name).layout, name);
            let unknown = match (count, onlooker, &error) {
                (Some(_), ..) => None,
                (None, Ok(onlooker), None) => onlooker.partition_count(name).err(),
                (None, Err(error), _) | (None, _, Some(error)) => Some(error.clone()),
            };
            (TopicView { roots, facts: BTreeMap::new(), unknown }, count)
        };
        (Self { counted: counts.into_iter().map(view).collect() }, error)
    }

    /// The roots of all of them.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Roots> {
        self.counted.iter().map(|(view, _)| &view.roots)
    }

    /// Asks for what a run would be told. `empty` says which prefixes were found empty before.
    pub(super) fn ask(
        self,
        onlooker: Option<&Onlooker>,
        empty: &BTreeMap<Arc<str>, bool>,
    ) -> Vec<TopicView> {
        let of = |(view, count): &(TopicView, Option<i32>)| view.partitions(count.unwrap_or(0));
        let partitions: Vec<_> = self.counted.iter().flat_map(of).collect();
        let mut facts = match onlooker {
            Some(onlooker) if !partitions.is_empty() => onlooker.topic_facts(&partitions, empty),
            _ => Answers::new(),
        };
        let views = self.counted.into_iter().map(|(mut view, count)| {
            let mine = view.partitions(count.unwrap_or(0)).into_iter();
            view.facts = mine.filter_map(|at| Some((at.partition, facts.remove(&at)?))).collect();
            view
        });
        views.collect()
    }
}
