//! What is fuzzed: everything that reads bytes of others. Each target takes any bytes and panics if
//! a property does not hold. Run plainly by `main` over the kept corpora, and by `driver` under
//! libFuzzer.

mod lane;

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_s3_sink::config::load_str;
use kafka_s3_sink::pipeline::audit::{
    Comparison, KnownBatch, KnownObject, Roots, check_content, moment, of_short_form, said_by,
    short_form,
};
use kafka_s3_sink::pipeline::{
    BatchFacts, FirstRecord, Metadata, ObjectFacts, decode_metadata, encode_metadata,
};
use kafka_s3_sink::record::{
    Committed, Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, Layout,
    ObjectMetadata, Offset, OffsetRange, TombstonePolicy, TopicPartition,
};

use self::lane::{Lane, Taken};

/// A target's code.
pub(crate) type Target = fn(&[u8]);

/// All targets, each named as its corpus is.
pub(crate) const TARGETS: [(&str, Target); 7] = [
    ("config", config),
    ("content", content),
    ("key", key),
    ("metadata", metadata),
    ("offset_metadata", offset_metadata),
    ("record", record),
    ("time", time),
];

fn layout() -> Layout {
    let field = |name: &str| HiveKey::Field { name: name.to_owned(), key: name.to_lowercase() };
    Layout {
        bucket: "lake".into(),
        prefix: "raw".into(),
        dead_letter_prefix: "dead".into(),
        partition_by: vec![HiveKey::Dt, HiveKey::Hour, field("a")],
        compression: Compression::None,
        usable_time: (946_684_800_000, 4_102_444_800_000),
        envelope: Envelope::None,
        on_invalid: InvalidPolicy::DeadLetter,
        on_tombstone: TombstonePolicy::DeadLetter,
        max_record_bytes: 4096,
        isolation_level: IsolationLevel::ReadCommitted,
    }
}

/// A configuration file is accepted, or refused with words; what is accepted survives being shown.
fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match load_str("sink.toml", text, std::iter::empty()) {
        Ok(settings) => {
            let shown = settings.redacted_toml();
            let _ = settings.warnings();
            let again = load_str("again.toml", &shown, std::iter::empty());
            assert!(again.is_ok(), "{}\n{shown}", again.unwrap_err());
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// What a listing names is ours only if we would give it that very name.
fn key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let roots = Roots::of(&Arc::new(layout()), "t");
    if let Ok(name) = roots.read(text) {
        assert_eq!(&*roots.address(&name).key, text);
    }
}

/// Metadata of an object says something or nothing, and what it says survives the cache.
fn metadata(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let found: ObjectMetadata =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if let Ok(said) = said_by(&found) {
        let roots = Roots::of(&Arc::new(layout()), &said.0.from.topic);
        assert_eq!(of_short_form(&roots, &short_form(&said)).as_ref(), Some(&said));
    }
    let _ = of_short_form(&Roots::of(&Arc::new(layout()), "t"), text);
}

/// Offset metadata is ours, somebody else's or damaged. If it is ours it reads the same once more,
/// and a member that is assigned with it stops, or lands what it says and nothing twice.
fn offset_metadata(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Metadata::Ours(mark, pin) = decode_metadata(text) {
        let again = decode_metadata(&encode_metadata(&mark, pin.as_ref()));
        assert_eq!(again, Metadata::Ours(mark.clone(), pin));
        let held = Committed { offset: Some(mark.offset), metadata: text.to_owned() };
        let mut lane = Lane::start(layout(), held);
        for number in 0..40 {
            let value = format!("{{\"a\":{number}}}");
            lane.take(number, &Taken { value: Some(value.as_bytes()), ..Taken::default() });
        }
        lane.finish(40);
        assert!(lane.objects().all(|(_, lines)| !lines.is_empty()));
    }
}

/// Every record lands as one line that holds its bytes, in the table or among the dead letters.
fn record(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else { return };
    let (lens, rest) = rest.split_at(rest.len().min(2));
    let mut rest = rest;
    let mut next = |len: Option<&u8>| {
        let len = len.map_or(0, |len| usize::from(*len)).min(rest.len());
        let (head, tail) = rest.split_at(len);
        rest = tail;
        head
    };
    let (key, header) = (next(lens.first()), next(lens.get(1)));
    let envelope = if flags & 1 == 0 { Envelope::None } else { Envelope::Fields };
    let value = (flags & 2 == 0).then_some(rest);
    let taken = Taken {
        value,
        key: (flags & 4 == 0).then_some(key),
        header: (flags & 8 == 0).then_some(header),
        timestamp: i64::from_le_bytes(std::array::from_fn(|at| data.get(at).copied().unwrap_or(0))),
    };
    let layout = Layout { envelope, ..layout() };
    let mut lane = Lane::start(layout, Committed::default());
    lane.take(0, &taken);
    lane.finish(1);
    let objects: Vec<_> = lane.objects().collect();
    let [(key, lines)] = objects.as_slice() else { panic!("{objects:?}") };
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(!line.contains(['\n', '\r']));
    if key.starts_with("dead/") {
        let letter: serde_json::Value = serde_json::from_str(line).expect("a dead letter is JSON");
        assert_eq!(letter["value"].as_str().map(from_base64).as_deref(), value);
        return;
    }
    assert!(key.starts_with("raw/t/dt=") && key.ends_with("/t-0-00000000000000000000.json"));
    let path = key.rsplit_once('/').expect("a path").0;
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"%:\\".contains(&byte)), "{path}");
    let raw: &serde_json::value::RawValue = serde_json::from_str(line).expect("a line is JSON");
    assert!(raw.get().starts_with('{'));
    let value: Vec<u8> = rest.iter().copied().filter(|byte| !b"\n\r".contains(byte)).collect();
    let value = value.trim_ascii();
    let same = match envelope {
        Envelope::None => line.as_bytes() == value,
        Envelope::Fields => line.as_bytes().starts_with(&value[..value.len() - 1]),
    };
    assert!(same, "{line}");
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

/// The bytes of an object that `audit --deep` reads: whatever they are, it says what is wrong.
fn content(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let compression =
        [Compression::Gzip, Compression::Zstd, Compression::None][usize::from(kind % 3)];
    let layout = Layout { compression, ..layout() };
    let at = TopicPartition::new("t", 0);
    let roots = Roots::of(&Arc::new(layout.clone()), "t");
    let ending = ["json.gz", "json.zst", "json"][usize::from(kind % 3)];
    let name = format!("raw/t/dt=2026-11-22/hour=16/a=1/t-0-00000000000000000003.{ending}");
    let name = roots.read(&name).expect("a name of ours");
    let facts = ObjectFacts { records: 2, uncompressed: 20, times: None };
    let object = KnownObject { name, facts };
    let first = FirstRecord { offset: Offset(3), timestamp: None, hash: "h".to_owned() };
    let batch = KnownBatch {
        facts: BatchFacts {
            from: at,
            range: OffsetRange { base: Offset(0), end: Offset(9) },
            first,
            pin_id: "p".into(),
            group_hash: "g".into(),
            layout_hash: "l".into(),
            objects: 1,
        },
        seen: 1,
        records: 2,
        shortened: false,
        objects: vec![object.clone()],
    };
    let with = Comparison { layout: Some(&layout), ..Comparison::default() };
    let found = check_content(body, &batch, &object, with);
    let is_whole = found.records == 2 && found.bytes == 20;
    assert!(is_whole || !found.flaws.is_empty(), "{found:?}");
}

/// A moment on the command line is one or none.
fn time(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = moment(text);
    }
}

/// Objects by key, for `lane`.
type Objects = BTreeMap<String, Vec<String>>;
