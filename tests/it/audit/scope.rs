//! What is asked for: names alone, times, what may be gone, what was known before; and what is
//! said of a group that does not stand where it must.

use super::*;
use crate::support::workdir::WorkDir;

#[test]
fn names_alone_prove_nothing() {
    let Some((case, config)) = landed("audit-names", 2, 1000) else { return };
    let report = Audited::json(&config, &["--listing-only"], 0);
    assert!(report["health"].is_null(), "{report}");
    assert_eq!(report["objects"]["looked_at"], 0);
    let names = &report["topics"][0]["names"];
    for number in 0..2 {
        let it = &names[number];
        assert_eq!((&it["lowest_first"], &it["highest_first"]), (&0.into(), &400.into()), "{it}");
    }
    case.bucket.delete(&key_of(&case, 0, 200));
    let text = Audited::of(&config, &["--listing-only"]);
    text.says(0, &["first offsets 0 to 400", "nothing is known to be whole"]);
    assert!(!text.text.contains("all is there"), "{}", text.text);
}

#[test]
fn times_limit_what_is_looked_at() {
    let Some((case, config)) = landed_in("audit-times", 1, 2000, 40) else { return };
    // From half past nine on the 20th, 144 records an hour.
    let hour = ["--from", "2026-11-21T02", "--to", "2026-11-21T03:00:00Z"];
    let report = Audited::json(&config, &hour, 0);
    let in_hour = case.bucket.list("raw/audit-times/dt=2026-11-21/hour=02/").len() as u64;
    assert_eq!(report["objects"]["looked_at"].as_u64(), Some(in_hour));
    assert!(
        in_hour > 1 && report["objects"]["listed"].as_u64() < Some(case.objects().len() as u64)
    );
    let it = partition(&report, 0);
    assert!(
        it["incomplete"].as_array().unwrap().iter().all(|it| it["kind"] == "other_time"),
        "{it}"
    );
    Audited::json(&config, &[&hour[..], &["--deep"]].concat(), 0);

    // Of a batch that stands in this hour alone nothing is left.
    let gone = case.bucket.list("raw/audit-times/dt=2026-11-21/hour=02/");
    let alone = |key: &str| {
        let name = key.rsplit_once('/').unwrap().1;
        case.objects().iter().filter(|it| it.key.ends_with(name)).count() == 1
    };
    let key = &gone.iter().find(|it| alone(&it.key)).expect("one batch within the hour").key;
    case.bucket.delete(key);
    Audited::of(&config, &hour).says(6, &["missing: ["]);
    let before = Audited::of(&config, &["--to", "2026-11-21T02"]);
    before.says(0, &["nothing", "is known to be missing"]);
    // Of a time of which nothing is left at all nobody can say whether there was something.
    for object in case.bucket.list("raw/audit-times/dt=2026-11-20/") {
        case.bucket.delete(&object.key);
    }
    let emptied = Audited::of(&config, &["--to", "2026-11-21"]);
    emptied.says(7, &["nothing of that time is here"]);
    let whole_hour = Audited::of(&config, &["--from", "2026-11-21T04"]);
    assert!(!whole_hour.text.contains("all is there, once"), "{}", whole_hour.text);
    Audited::of(&config, &["--from", "2026-11-22", "--to", "2026-11-21"]).says(2, &["before --to"]);

    let no_days = config.set("layout.partition_by", vec!["hour".to_owned()]);
    Audited::of(&no_days, &hour).says(2, &["layout.partition_by has no \"dt\""]);
    Audited::of(&case.config(), &["--from", "yesterday"]).says(2, &["2026-11-22T16"]);
}

#[test]
fn what_kafka_has_no_more_is_not_known_and_what_is_old_may_be_gone() {
    let Some((case, config)) = landed("audit-since", 1, 2000) else { return };
    let remove = |first: i64| {
        let name = format!("-0-{first:020}.");
        let keys = case.objects().into_iter().filter(|it| it.key.contains(&name));
        keys.for_each(|it| case.bucket.delete(&it.key));
    };
    remove(0);
    let oldest = Audited::json(&config, &[], 7);
    assert_eq!(spans(&partition(&oldest, 0)["covered"]), [(100, 2000)]);
    let gap = &partition(&oldest, 0)["gaps"][0];
    assert_eq!((&gap["kind"], &gap["end"]), (&"before_first".into(), &100.into()), "{gap}");
    Audited::of(&config, &[]).says(7, &["open", "before the first batch: [0, 100)", "--since"]);
    let latest = config.clone().set("kafka.start", "latest");
    Audited::of(&latest, &[]).says(0, &["all is there, once"]);
    let all = ["--since", "2026-11-01"];
    let wanted = Audited::json(&config, &all, 6);
    assert_eq!(spans(&partition(&wanted, 0)["gaps"]), [(0, 100)]);

    remove(500);
    Audited::json(&config, &[], 6);
    // 500 records are three and a half hours of them.
    let since = ["--since", "2026-11-21T03"];
    let report = Audited::json(&config, &since, 0);
    let gaps = &partition(&report, 0)["gaps"];
    assert!(gaps.as_array().unwrap().iter().all(|gap| gap["kind"] == "expired"), "{gaps}");

    case.broker.delete_records(&case.topic, 0, 550);
    let report = Audited::json(&config, &[], 6);
    let gaps = &partition(&report, 0)["gaps"];
    assert_eq!(spans(gaps), [(500, 550), (550, 600)]);
    assert_eq!((&gaps[0]["kind"], &gaps[1]["kind"]), (&"unknown".into(), &"missing".into()));
    case.broker.delete_records(&case.topic, 0, 700);
    let report = Audited::json(&config, &[], 7);
    assert_eq!(report["health"], "open");
    assert_eq!(spans(&partition(&report, 0)["gaps"]), [(500, 600)]);
    Audited::of(&config, &["--deep"]).says(7, &["not known: [500, 600)", "batches were compared"]);
}

#[test]
fn what_is_known_is_not_asked_again() {
    let Some((case, config)) = landed("audit-cache", 1, 1000) else { return };
    let dir = WorkDir::new("audit-cache");
    let cache = ["--cache", dir.path().to_str().unwrap()];
    let counts = |report: &Value| {
        let of = |name: &str| report["objects"][name].as_u64().unwrap();
        (of("looked_at"), of("known"))
    };
    let objects = case.objects().len() as u64;
    assert_eq!(counts(&Audited::json(&config, &cache, 0)), (objects, 0));
    assert_eq!(counts(&Audited::json(&config, &cache, 0)), (0, objects));
    // Another tag, so another object.
    let key = key_of(&case, 0, 300);
    let mut changed = case.bucket.get(&key);
    changed.body.extend(b"tail");
    case.bucket.put(&changed);
    assert_eq!(counts(&Audited::json(&config, &cache, 0)), (1, objects - 1));
    // The same bytes again, but another put: what it says of itself may be new.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    case.bucket.put(&changed);
    assert_eq!(counts(&Audited::json(&config, &cache, 0)), (1, objects - 1));
    case.bucket.delete(&key);
    let report = Audited::json(&config, &cache, 6);
    assert_eq!(counts(&report), (0, objects - 1));
    let hour = [&cache[..], &["--from", "2026-11-20T22", "--to", "2026-11-20T23"]].concat();
    Audited::json(&config, &hour, 0);
    assert_eq!(
        counts(&Audited::json(&config, &cache, 6)),
        (0, objects - 1),
        "a part drops nothing"
    );
}

#[test]
fn a_group_that_lost_its_offsets_is_told_of_recover() {
    let Some((case, config)) = landed("audit-group", 1, 500) else { return };
    case.broker.set_offset(&case.group(), &case.topic, 0, 250);
    let by_hand = Audited::of(&config, &[]);
    by_hand
        .says(0, &["250, set by somebody else", "`kafka-s3-sink recover`", "beyond the committed"]);
    case.broker.delete_group(&case.group());
    Audited::of(&config, &[]).says(0, &["no committed offset", "`kafka-s3-sink recover`"]);
    let other = config.set("kafka.group_id", "audit-group-other");
    Audited::of(&other, &[]).says(0, &["objects written by another group"]);
}

#[test]
fn several_topics_are_looked_at_and_a_name_that_is_none_is_told() {
    let Some((_, _)) = landed("audit-one", 1, 300) else { return };
    let Some((_, config)) = landed("audit-two", 2, 300) else { return };
    let both = config.clone().set("kafka.topics", vec!["^audit-(one|two)$".to_owned()]);
    let report = Audited::json(&both, &[], 7);
    // The bucket is that of the second; of the first it holds nothing, and the group has nothing.
    let healths = [&report["topics"][0]["health"], &report["topics"][1]["health"]];
    assert_eq!(healths, ["open", "well"]);
    Audited::of(&both, &["--topic", "audit-one"])
        .says(7, &["nothing of it has landed here", "the right ones?"]);
    assert_eq!(report["topics"].as_array().map(Vec::len), Some(2));
    let one = Audited::json(&both, &["--topic", "audit-two"], 0);
    assert_eq!(one["topics"].as_array().map(Vec::len), Some(1));
    let none = Audited::of(&config, &["--topic", "audit-three"]);
    none.says(2, &["Kafka says nothing of it", "UNKNOWN_TOPIC"]);
}
