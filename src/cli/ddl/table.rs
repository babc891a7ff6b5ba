//! A table over the objects of a topic: columns, partition keys, projection. Pure.

use std::collections::BTreeMap;

use super::columns::{Column, cleaned, columns};
use crate::pipeline::topic_prefix;
use crate::record::{Compression, Envelope, HiveKey, Layout};

const ENVELOPE_MEMBER: &str = "_kafka";
/// Every member of `_kafka`, which no sampled value has.
const ENVELOPE: &str = "struct<topic:string,partition:int,offset:bigint,timestamp:bigint,key:string,\
                        key_base64:string,headers:array<struct<key:string,value:string,\
                        value_base64:string>>>";
/// Where records without a usable timestamp stand.
pub(super) const NO_DAY: &str = "1970-01-01";
const NO_HOUR: &str = "00";

/// A table, as all forms write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) columns: Vec<Column>,
    /// Names of the partition keys, in order; all of them are strings.
    pub(super) keys: Vec<String>,
    pub(super) location: String,
    pub(super) serde_parameters: BTreeMap<String, String>,
    pub(super) parameters: BTreeMap<String, String>,
}

/// The tables of a topic, and what a reader ought to know.
pub(super) struct Tables {
    /// The table, and where the layout has times in it a second one of records without.
    pub(super) tables: Vec<Table>,
    pub(super) warnings: Vec<String>,
}

/// Makes the tables from a layout and sampled lines. `since` is the first day.
pub(super) fn tables(layout: &Layout, topic: &str, lines: &[Vec<u8>], since: &str) -> Tables {
    let keys: Vec<String> = layout.partition_by.iter().map(|key| key.key().to_owned()).collect();
    // Lines that have landed have the envelope in them.
    let known = (layout.envelope == Envelope::Fields).then_some(ENVELOPE_MEMBER);
    let (mut columns, mut warnings) = columns(lines.iter().map(|line| &**line), &keys, known);
    if lines.is_empty() {
        warnings.push("no record of the topic is a line, so the columns are not known".to_owned());
    }
    if layout.envelope == Envelope::Fields {
        let (name, hive) = (ENVELOPE_MEMBER.to_owned(), ENVELOPE.to_owned());
        columns.push(Column { name, member: None, hive });
    }
    if layout.partition_by.iter().any(|key| matches!(key, HiveKey::Field { .. })) {
        warnings.push(
            "a partition key that is a field has the projection type injected: each query must \
             name its value, as in WHERE key = 'value'"
                .to_owned(),
        );
    }
    let make = |times: Times<'_>| table(layout, topic, &columns, &keys, times);
    let mut tables = vec![make(Times::Since(since))];
    if layout.partition_by.iter().any(|key| matches!(key, HiveKey::Dt | HiveKey::Hour)) {
        tables.push(make(Times::None));
    }
    Tables { tables, warnings }
}

/// Which days a table covers.
#[derive(Clone, Copy)]
enum Times<'a> {
    /// From this one to a day ahead.
    Since(&'a str),
    /// That of records without a usable timestamp.
    None,
}

fn table(
    layout: &Layout,
    topic: &str,
    columns: &[Column],
    keys: &[String],
    times: Times<'_>,
) -> Table {
    let location = format!("s3://{}/{}", layout.bucket, topic_prefix(layout, topic));
    let mut parameters = BTreeMap::new();
    let mut set = |name: String, value: &str| drop(parameters.insert(name, value.to_owned()));
    set("classification".into(), "json");
    if layout.compression == Compression::Gzip {
        set("compressionType".into(), "gzip");
    }
    if !keys.is_empty() {
        set("projection.enabled".into(), "true");
        let template: Vec<_> = keys.iter().map(|key| format!("{key}=${{{key}}}/")).collect();
        set("storage.location.template".into(), &format!("{location}{}", template.concat()));
    }
    for key in &layout.partition_by {
        let mut of =
            |what: &str, value: &str| set(format!("projection.{}.{what}", key.key()), value);
        match (key, times) {
            (HiveKey::Dt, Times::Since(since)) => {
                of("type", "date");
                of("format", "yyyy-MM-dd");
                of("range", &format!("{since},NOW+1DAYS"));
                of("interval", "1");
                of("interval.unit", "DAYS");
            }
            (HiveKey::Hour, Times::Since(_)) => {
                of("type", "integer");
                of("range", "0,23");
                of("digits", "2");
            }
            (HiveKey::Dt, Times::None) => {
                of("type", "enum");
                of("values", NO_DAY);
            }
            (HiveKey::Hour, Times::None) => {
                of("type", "enum");
                of("values", NO_HOUR);
            }
            (HiveKey::Field { .. }, _) => of("type", "injected"),
        }
    }
    let renamed = columns.iter().filter_map(|it| Some((&it.name, it.member.as_ref()?)));
    let mapping = renamed.map(|(name, member)| (format!("mapping.{name}"), member.clone()));
    let (suffix, what) = match times {
        Times::Since(_) => ("", "records"),
        Times::None => ("_unusable_time", "records whose timestamp is outside layout.usable_time"),
    };
    Table {
        name: format!("{}{suffix}", cleaned(&topic.to_lowercase())),
        comment: format!("{what} of the Kafka topic {topic}"),
        columns: columns.to_vec(),
        keys: keys.to_vec(),
        location,
        serde_parameters: mapping.collect(),
        parameters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    pub(in super::super) fn layout(more: &str) -> Layout {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"b:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
             [s3]\nbucket = \"lake\"\n[layout]\nprefix = \"raw\"\n{more}\n"
        );
        let settings = config::load_str("test", &text, std::iter::empty()).expect("settings");
        Layout::clone(&settings.topics.default.layout)
    }

    fn made(more: &str, values: &[&str]) -> Tables {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        tables(&layout(more), "clicks.eu", &values, "2026-11-01")
    }

    #[test]
    fn times_are_projected_one_day_ahead_and_the_others_have_a_table_of_their_own() {
        let made = made("", &[r#"{"a":1}"#]);
        let names: Vec<_> = made.tables.iter().map(|table| &*table.name).collect();
        assert_eq!(names, ["clicks_eu", "clicks_eu_unusable_time"]);
        let [table, without] = made.tables.as_slice() else { panic!("{names:?}") };
        assert_eq!(table.keys, ["dt", "hour"]);
        assert_eq!(table.parameters["projection.dt.range"], "2026-11-01,NOW+1DAYS");
        assert_eq!(table.parameters["projection.hour.digits"], "2");
        let template = "s3://lake/raw/clicks.eu/dt=${dt}/hour=${hour}/";
        assert_eq!(table.parameters["storage.location.template"], template);
        assert_eq!(without.parameters["projection.dt.values"], "1970-01-01");
        assert_eq!(without.parameters["projection.hour.values"], "00");
    }

    #[test]
    fn fields_are_injected_and_an_envelope_has_a_column() {
        let made =
            made("partition_by = [\"r=field:region\"]\n[records]\nenvelope = \"fields\"", &["{}"]);
        assert_eq!(made.tables.len(), 1);
        let table = &made.tables[0];
        assert_eq!(table.parameters["projection.r.type"], "injected");
        assert_eq!(table.columns[0].name, "_kafka");
        assert_eq!(made.warnings.len(), 1, "{:?}", made.warnings);
    }

    #[test]
    fn without_keys_there_is_nothing_to_project() {
        let made = made("partition_by = []", &["no", r#"{"DT":1}"#]);
        assert_eq!(made.tables.len(), 1);
        assert!(!made.tables[0].parameters.contains_key("projection.enabled"));
        assert!(made.warnings.is_empty());
    }
}
