//! What a sample of records tells of the tables that readers will make. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::words;
use crate::kafka::SampledRecord;
use crate::pipeline::{InvalidReason, hive_paths, line_of, member_names};
use crate::record::{HiveKey, InvalidPolicy, Layout, TombstonePolicy};

/// All that was seen in a sample.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) records: usize,
    tombstones: usize,
    invalid: BTreeMap<InvalidReason, usize>,
    /// Fields named like a Hive key, and in how many records.
    like_keys: BTreeMap<String, usize>,
    /// Fields of one record that differ only by case, and in how many records.
    twins: BTreeMap<String, usize>,
    unusable_time: usize,
    /// The lines that would land.
    pub(super) lines: Vec<Vec<u8>>,
    /// How many Hive partitions the fields alone make.
    pub(super) fan_out: usize,
}

impl Findings {
    pub(super) fn of(layout: &Layout, topic: &str, records: &[SampledRecord]) -> Self {
        let mut this = Self { records: records.len(), ..Self::default() };
        let keys: BTreeSet<String> =
            layout.partition_by.iter().map(|key| key.key().to_owned()).collect();
        let mut times = Vec::new();
        for record in records {
            match record.value.as_deref().map(|value| line_of(layout, value)) {
                None => this.tombstones += 1,
                Some(Err(reason)) => *this.invalid.entry(reason).or_default() += 1,
                Some(Ok(line)) => {
                    this.names(&keys, &member_names(&line));
                    this.lines.push(line.into_owned());
                    times.push(record.timestamp);
                }
            }
        }
        let by_fields: Vec<_> =
            layout.partition_by.iter().filter(|key| matches!(key, HiveKey::Field { .. })).collect();
        let by_fields = by_fields.into_iter().cloned().collect();
        let by_fields = Arc::new(Layout { partition_by: by_fields, ..layout.clone() });
        let lines = times.into_iter().zip(this.lines.iter().map(Vec::as_slice));
        let paths = hive_paths(&by_fields, topic, lines);
        this.unusable_time = paths.iter().filter(|(_, usable)| !usable).count();
        this.fan_out = paths.into_iter().map(|(path, _)| path).collect::<HashSet<_>>().len();
        this
    }

    fn names(&mut self, keys: &BTreeSet<String>, names: &[String]) {
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        for name in names {
            let lower = name.to_lowercase();
            if keys.contains(&lower) {
                *self.like_keys.entry(name.clone()).or_default() += 1;
            }
            if let Some(first) = seen.insert(lower, name) {
                *self.twins.entry(format!("{first:?} and {name:?}")).or_default() += 1;
            }
        }
    }

    /// Sentences about what readers or a run will stumble over.
    pub(super) fn warnings(&self, layout: &Layout) -> Vec<String> {
        let mut said = Vec::new();
        let of = |count: usize| format!("{count} of {}", words::many(self.records, "record"));
        said.extend(self.like_keys.iter().map(|(name, count)| like_key(layout, name, &of(*count))));
        said.extend(self.twins.iter().map(|(names, count)| {
            format!(
                "{} have fields whose names are equal but for case ({names}): Athena refuses such \
                 a line or shows one of the two; rename one at its source",
                of(*count)
            )
        }));
        if !self.invalid.is_empty() {
            said.push(self.invalid_text(layout, &of(self.invalid.values().sum())));
        }
        if self.tombstones > 0 && layout.on_tombstone != TombstonePolicy::Skip {
            let fate = match layout.on_tombstone {
                TombstonePolicy::DeadLetter => "they go to the dead letters",
                _ => "the first one stops its Kafka partition",
            };
            let count = of(self.tombstones);
            said.push(format!("{count} are tombstones: {fate} (records.on_tombstone)"));
        }
        if self.unusable_time > 0 {
            said.push(format!(
                "{} have a timestamp outside layout.usable_time: they land under dt=1970-01-01",
                of(self.unusable_time)
            ));
        }
        if self.scatters() {
            said.push(format!(
                "the fields in layout.partition_by have {} values in {}: each makes a folder and a \
                 small object; choose fields with few values",
                self.fan_out,
                words::many(self.lines.len(), "record")
            ));
        }
        said
    }

    /// Nearly every record has a Hive partition of its own.
    fn scatters(&self) -> bool {
        self.lines.len() >= 20 && self.fan_out * 2 > self.lines.len()
    }

    fn invalid_text(&self, layout: &Layout, count: &str) -> String {
        let reasons: Vec<_> =
            self.invalid.iter().map(|(why, count)| format!("{} {count}", why.as_str())).collect();
        let fate = match layout.on_invalid {
            InvalidPolicy::DeadLetter => "they go to the dead letters",
            InvalidPolicy::Skip => "they are counted and left out",
            InvalidPolicy::Stop => "the first one stops its Kafka partition",
        };
        let reasons = reasons.join(", ");
        format!("{count} are no JSON object that can land ({reasons}): {fate} (records.on_invalid)")
    }
}

fn like_key(layout: &Layout, name: &str, count: &str) -> String {
    let is_own = |it: &HiveKey| matches!(it, HiveKey::Field { name: field, .. } if field == name);
    let own = layout.partition_by.iter().any(is_own);
    let twice = "a crawler's table has the column twice, which Athena refuses";
    if own {
        return format!(
            "the field {name:?} is a Hive partition and stays in the lines too, in {count}: \
             {twice}; give the Hive partition another name, as in \"{}_key=field:{name}\", or make \
             the table by DDL that names it under PARTITIONED BY alone",
            name.to_lowercase()
        );
    }
    format!(
        "{count} have a field {name:?}, which is also the name of a Hive partition: {twice}; \
         rename the field at its source, take the key out of layout.partition_by, or make the \
         table by DDL without that column"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::record::TimestampMs;

    fn layout(keys: &str) -> Layout {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"b:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
             [s3]\nbucket = \"lake\"\n[layout]\npartition_by = {keys}\n"
        );
        let settings = config::load_str("test", &text, std::iter::empty()).expect("settings");
        Layout::clone(&settings.topics.default.layout)
    }

    fn record(value: &str) -> SampledRecord {
        let timestamp = Some(TimestampMs(1_795_210_200_000));
        SampledRecord { timestamp, value: Some(value.as_bytes().to_vec()), keyed: false }
    }

    fn warnings(keys: &str, values: &[&str]) -> Vec<String> {
        let records: Vec<_> = values.iter().map(|value| record(value)).collect();
        let layout = layout(keys);
        Findings::of(&layout, "t", &records).warnings(&layout)
    }

    #[test]
    fn plain_records_give_no_warning() {
        let values = [r#"{"a":1,"nested":{"dt":1,"A":2,"a":3}}"#, "{}"];
        assert_eq!(warnings(r#"["dt", "hour"]"#, &values), Vec::<String>::new());
    }

    #[test]
    fn fields_named_like_hive_keys_are_seen_in_any_case() {
        let said = warnings(r#"["dt"]"#, &[r#"{"DT":1}"#, r#"{"hour":1}"#, r#"{"dt":1}"#]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("1 of 3 records have a field \"DT\""), "{said:?}");
        assert!(said[1].contains("rename the field"), "{said:?}");
    }

    #[test]
    fn a_field_that_the_layout_uses_is_told_with_the_ddl_that_works() {
        let said = warnings(r#"["field:country"]"#, &[r#"{"country":"de"}"#]);
        assert!(said.len() == 1 && said[0].contains("PARTITIONED BY"), "{said:?}");
    }

    #[test]
    fn names_equal_but_for_case_are_seen() {
        let said = warnings("[]", &[r#"{"id":1,"Id":2}"#]);
        assert!(said.len() == 1 && said[0].contains(r#""id" and "Id""#), "{said:?}");
    }

    #[test]
    fn what_cannot_land_is_counted_by_reason() {
        let said = warnings("[]", &["[1]", "{", "{}", ""]);
        let text = "3 of 4 records are no JSON object that can land (not_json 1, not_an_object 1, \
                    empty 1): they go to the dead letters (records.on_invalid)";
        assert_eq!(said, [text]);
    }

    #[test]
    fn a_field_with_a_value_for_each_record_scatters() {
        let values: Vec<_> = (0..30).map(|id| format!("{{\"id\":{id}}}")).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let said = warnings(r#"["field:id"]"#, &values);
        assert!(said.iter().any(|text| text.contains("30 values in 30 records")), "{said:?}");
    }

    #[test]
    fn absurd_times_and_tombstones_are_told() {
        let records = [
            SampledRecord {
                timestamp: Some(TimestampMs(-1)),
                value: Some(b"{}".to_vec()),
                keyed: false,
            },
            SampledRecord::default(),
        ];
        let mut layout = layout("[\"dt\"]");
        layout.on_tombstone = TombstonePolicy::Stop;
        let said = Findings::of(&layout, "t", &records).warnings(&layout);
        assert!(said[0].contains("1 of 2 records are tombstones: the first one stops"), "{said:?}");
        assert!(said[1].contains("layout.usable_time"), "{said:?}");
    }
}
