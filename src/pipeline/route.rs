//! From a record to its Hive path: a pure function of the record and the layout, in UTC.
//!
//! Fed by `partition` with decoded lines, feeds `batch`. Records are grouped by the **final**
//! path, so two values that read alike after cleaning share an object.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset as UtcOffset;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::decode::Name;
use super::layout::short_hash;
use crate::record::{HiveKey, Layout, TimestampMs};

/// Hive's own name for "no value".
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
/// The longest name that S3 takes.
const MAX_KEY: usize = 1024;
/// A cleaned value is at most this long, even where there is room.
const MAX_VALUE: usize = 64;
const MS_PER_HOUR: i64 = 3_600_000;

/// Finds the Hive path of a topic's records.
pub(super) struct Router {
    layout: Arc<Layout>,
    fields: Vec<String>,
    max_value: usize,
    /// The hour that the last path was made for; most records are of the same hour.
    hour: Option<(i64, Day)>,
    /// Paths of layouts without fields, by hour: a clone is a reference, not a string.
    paths: HashMap<Option<i64>, Arc<str>>,
    /// The one that was asked for last.
    latest: Option<(Option<i64>, Arc<str>)>,
}

/// A record's day and hour as they stand in a path.
#[derive(Clone)]
struct Day {
    dt: String,
    hour: String,
}

/// Where a record belongs.
pub(super) struct Route {
    /// `dt=2026-11-22/hour=16`, without slashes at the ends.
    pub(super) path: Arc<str>,
    /// The timestamp was outside `layout.usable_time`.
    pub(super) unusable_time: bool,
}

impl Router {
    pub(super) fn new(layout: Arc<Layout>, topic: &str) -> Self {
        let fields: Vec<String> = layout
            .partition_by
            .iter()
            .filter_map(|key| match key {
                HiveKey::Field { name, .. } => Some(name.clone()),
                HiveKey::Dt | HiveKey::Hour => None,
            })
            .collect();
        let max_value = max_value_len(&layout, topic, fields.len());
        Self { layout, fields, max_value, hour: None, paths: HashMap::new(), latest: None }
    }

    /// The path of the record with this timestamp and this line.
    pub(super) fn route(&mut self, timestamp: Option<TimestampMs>, line: &[u8]) -> Route {
        let (from, to) = self.layout.usable_time;
        let usable = timestamp.map(|at| at.0).filter(|at| (from..to).contains(at));
        let hour = usable.map(|at| at.div_euclid(MS_PER_HOUR));
        let path = if self.fields.is_empty() {
            self.path_of_hour(hour)
        } else {
            self.path_with_fields(hour, line)
        };
        Route { path, unusable_time: usable.is_none() }
    }

    fn path_of_hour(&mut self, hour: Option<i64>) -> Arc<str> {
        match &self.latest {
            Some((latest, path)) if *latest == hour => path.clone(),
            _ => {
                let path = self.known_path_of_hour(hour);
                self.latest = Some((hour, path.clone()));
                path
            }
        }
    }

    fn known_path_of_hour(&mut self, hour: Option<i64>) -> Arc<str> {
        if let Some(path) = self.paths.get(&hour) {
            return path.clone();
        }
        // Absurd event times must not make a cache without end.
        if self.paths.len() >= 1024 {
            self.paths.clear();
        }
        let day = self.day(hour);
        let path: Arc<str> = self.join(&day, &HashMap::new()).into();
        self.paths.insert(hour, path.clone());
        path
    }

    fn path_with_fields(&mut self, hour: Option<i64>, line: &[u8]) -> Arc<str> {
        let day = self.day(hour);
        self.join(&day, &fields_of(line, &self.fields)).into()
    }

    fn join(&self, day: &Day, values: &HashMap<&str, Value>) -> String {
        let levels: Vec<String> = self
            .layout
            .partition_by
            .iter()
            .map(|key| match key {
                HiveKey::Dt => format!("dt={}", day.dt),
                HiveKey::Hour => format!("hour={}", day.hour),
                HiveKey::Field { name, key } => {
                    let value = clean(values.get(name.as_str()), self.max_value);
                    format!("{key}={value}")
                }
            })
            .collect();
        levels.join("/")
    }

    fn day(&mut self, hour: Option<i64>) -> Day {
        let hour = hour.unwrap_or(0);
        match &self.hour {
            Some((cached, day)) if *cached == hour => day.clone(),
            _ => {
                let day = day_of(hour);
                self.hour = Some((hour, day.clone()));
                day
            }
        }
    }
}

fn day_of(hour: i64) -> Day {
    let at = Timestamp::from_second(hour.saturating_mul(3600)).unwrap_or(Timestamp::UNIX_EPOCH);
    let utc = UtcOffset::UTC.to_datetime(at);
    Day { dt: utc.date().to_string(), hour: format!("{:02}", utc.hour()) }
}

/// How long a field's value may be so that no key is longer than S3 takes.
fn max_value_len(layout: &Layout, topic: &str, fields: usize) -> usize {
    let levels: usize = layout
        .partition_by
        .iter()
        .map(|key| match key {
            HiveKey::Dt => "dt=2026-11-22/".len(),
            HiveKey::Hour => "hour=16/".len(),
            HiveKey::Field { key, .. } => key.len() + "=/".len(),
        })
        .sum();
    let name = topic.len() + "-2147483647-00000000000000000000.json.zst".len();
    let fixed = layout.prefix.len() + 1 + topic.len() + 1 + levels + name;
    MAX_KEY.saturating_sub(fixed).checked_div(fields).map_or(MAX_VALUE, |room| room.min(MAX_VALUE))
}

/// A value as it may stand in a path: lower case, without `%`, `:`, `/`, and of bounded length.
fn clean(value: Option<&Value>, max: usize) -> String {
    let text = match value {
        Some(Value::String(text)) if !text.is_empty() => text.to_lowercase(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => return NO_VALUE.to_owned(),
    };
    let cleaned: String = text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if cleaned.len() <= max {
        return cleaned;
    }
    let hash = &short_hash(text.as_bytes())[..16];
    let head = max.saturating_sub(hash.len() + 1);
    if head == 0 { hash.to_owned() } else { format!("{}-{hash}", &cleaned[..head]) }
}

const fn is_plain(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.')
}

/// The wanted top-level members of an object; of a name that stands twice, the last.
fn fields_of<'n>(line: &[u8], names: &'n [String]) -> HashMap<&'n str, Value> {
    struct Wanted<'n>(&'n [String]);
    impl<'de, 'n> Visitor<'de> for Wanted<'n> {
        type Value = HashMap<&'n str, Value>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = HashMap::new();
            while let Some(Name(name)) = map.next_key()? {
                match self.0.iter().find(|wanted| wanted.as_bytes() == &*name) {
                    Some(wanted) => {
                        found.insert(wanted.as_str(), map.next_value_seed(Scalar)?);
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(found)
        }
    }
    let mut parser = serde_json::Deserializer::from_slice(line);
    serde::Deserializer::deserialize_map(&mut parser, Wanted(names)).unwrap_or_default()
}

/// A scalar; anything nested reads as null without being built.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        let raw: &serde_json::value::RawValue = serde::Deserialize::deserialize(parser)?;
        let nested = raw.get().starts_with(['{', '[']);
        Ok(if nested {
            Value::Null
        } else {
            serde_json::from_str(raw.get()).unwrap_or(Value::Null)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::tests::sample;
    use super::*;

    fn field(name: &str, key: &str) -> HiveKey {
        HiveKey::Field { name: name.to_owned(), key: key.to_owned() }
    }

    fn router(partition_by: Vec<HiveKey>) -> Router {
        Router::new(Arc::new(Layout { partition_by, ..sample() }), "t")
    }

    fn path(router: &mut Router, ms: i64, line: &str) -> String {
        router.route(Some(TimestampMs(ms)), line.as_bytes()).path.to_string()
    }

    #[test]
    fn the_hour_is_of_the_record_and_in_utc() {
        let mut router = router(vec![HiveKey::Dt, HiveKey::Hour]);
        assert_eq!(path(&mut router, 1_795_363_199_999, "{}"), "dt=2026-11-22/hour=15");
        assert_eq!(path(&mut router, 1_795_363_200_000, "{}"), "dt=2026-11-22/hour=16");
        assert_eq!(path(&mut router, 951_782_400_000, "{}"), "dt=2000-02-29/hour=00");
    }

    #[test]
    fn absurd_times_go_to_one_known_place() {
        let mut router = router(vec![HiveKey::Dt, HiveKey::Hour]);
        for at in [
            None,
            Some(-1),
            Some(0),
            Some(946_684_799_999),
            Some(253_402_300_799_000),
            Some(i64::MAX),
        ] {
            let route = router.route(at.map(TimestampMs), b"{}");
            assert_eq!((&*route.path, route.unusable_time), ("dt=1970-01-01/hour=00", true));
        }
    }

    #[test]
    fn fields_stand_in_their_order_and_cleaned() {
        let mut router = router(vec![field("Country", "country"), HiveKey::Hour]);
        for (line, expected) in [
            (r#"{"Country":"DE"}"#, "country=de/hour=16"),
            (r#"{"Country":"a/b:c%d é"}"#, "country=a_b_c_d__/hour=16"),
            (r#"{"Country":7}"#, "country=7/hour=16"),
            (r#"{"Country":true,"Country":false}"#, "country=false/hour=16"),
            (r#"{"country":"de"}"#, "country=__HIVE_DEFAULT_PARTITION__/hour=16"),
            (r#"{"Country":{"Country":"de"}}"#, "country=__HIVE_DEFAULT_PARTITION__/hour=16"),
            (r#"{"Country":""}"#, "country=__HIVE_DEFAULT_PARTITION__/hour=16"),
        ] {
            assert_eq!(path(&mut router, 1_795_363_200_000, line), expected, "{line}");
        }
    }

    #[test]
    fn long_values_stay_apart_and_keys_stay_within_what_s3_takes() {
        let topic = "t".repeat(249);
        let fields: Vec<_> = (0..6).map(|n| format!("field_number_{n}")).collect();
        let fields = fields.iter().map(|name: &String| field(name, name)).collect();
        let layout = Layout { partition_by: fields, prefix: "p".repeat(200).into(), ..sample() };
        let mut router = Router::new(Arc::new(layout.clone()), &topic);
        let line = |last: char| {
            let value = "x".repeat(500) + &last.to_string();
            serde_json::to_string(&HashMap::from([("field_number_0", value)])).unwrap()
        };
        let (one, two) = (path(&mut router, 0, &line('a')), path(&mut router, 0, &line('b')));
        assert_ne!(one, two);
        let from = crate::record::TopicPartition::new(topic, i32::MAX);
        let key = super::super::key::object_key(&layout, &from, &one, crate::record::Offset(1));
        assert!(key.len() <= MAX_KEY, "{}", key.len());
    }

    proptest! {
        #[test]
        fn every_value_makes_a_clean_level(text in ".*") {
            let level = clean(Some(&Value::String(text)), MAX_VALUE);
            prop_assert!(!level.is_empty() && level.len() <= MAX_VALUE);
            prop_assert!(level == NO_VALUE || level.chars().all(is_plain));
        }
    }
}
