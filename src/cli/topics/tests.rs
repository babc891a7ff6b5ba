//! Plans of one topic, and the words for them.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::plan::{Allowed, Plan, plan, refused_by_broker};
use super::*;
use crate::kafka::TopicChange;

/// The one topic of a file.
fn spec(keys: &str) -> TopicSpec {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "[topic.orders]\n{keys}").expect("written");
    let mut topics = topics_from_file(file.path()).expect(keys);
    topics.remove(0)
}

fn state(partitions: i32, holds_data: Option<bool>, properties: &[(&str, &str)]) -> TopicState {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties: BTreeMap<_, _> = properties.iter().map(pair).collect();
    TopicState { partitions, replicas: 1, holds_data, properties }
}

const ALL: Allowed = Allowed { cleanup_change: true, shorter_retention: true };

fn good(keys: &str, state: State<'_>) -> Plan {
    plan(&spec(keys), state, 3, Allowed::default()).expect(keys)
}

fn refused(keys: &str, state: State<'_>, brokers: usize) -> Vec<String> {
    let errors = plan(&spec(keys), state, brokers, Allowed::default()).expect_err(keys);
    let text = |error: &crate::config::ConfigError| {
        let text = error.to_string();
        text.split_once(".orders").map_or(text.clone(), |(_, rest)| rest.to_owned())
    };
    errors.iter().map(text).collect()
}

#[test]
fn a_missing_topic_is_made() {
    let plan = good("partitions = 6\nretention = \"1d\"\nreplication_factor = 3", None);
    let properties = vec![("retention.ms".to_owned(), "86400000".to_owned())];
    let made = TopicChange::Create { partitions: 6, replication_factor: Some(3), properties };
    assert_eq!(plan.changes, [made]);
    assert_eq!(plan.told(false), "created, with 6 Kafka partitions");
    assert_eq!(plan.told(true), "would be created, with 6 Kafka partitions");
}

#[test]
fn only_what_differs_is_changed() {
    let there = [("retention.ms", "604800000"), ("cleanup.policy", "delete"), ("x", "1")];
    let there = state(3, Some(true), &there);
    let keys = "partitions = 6\nretention = \"30d\"\ncleanup_policy = \"delete\"";
    let plan = good(keys, Some(&there));
    let properties = vec![("retention.ms".to_owned(), "2592000000".to_owned())];
    assert_eq!(plan.changes, [TopicChange::Partitions(6), TopicChange::Properties(properties)]);
    assert_eq!(plan.told(false), "partitions 3 -> 6; retention.ms 604800000 -> 2592000000");
    let plan = good("partitions = 3\nretention = \"7d\"", Some(&there));
    assert_eq!((plan.changes.len(), plan.told(true).as_str()), (0, "unchanged"));
}

#[test]
fn values_that_mean_the_same_are_no_change() {
    let there = [("cleanup.policy", "delete,compact"), ("min.cleanable.dirty.ratio", "0.50")];
    let there = state(1, Some(true), &there);
    let keys = "partitions = 1\ncleanup_policy = \"compact,delete\"\n[topic.orders.properties]\n\
                min.cleanable.dirty.ratio = 0.5";
    assert_eq!(good(keys, Some(&there)).changes, []);
    let there = state(1, Some(true), &[("flush.ms", "9223372036854775807")]);
    let keys = "partitions = 1\n[topic.orders.properties]\nflush.ms = 9223372036854775806";
    assert_eq!(good(keys, Some(&there)).changes.len(), 1);
}

#[test]
fn what_would_lose_or_break_is_refused_all_at_once() {
    let there = state(6, Some(true), &[("cleanup.policy", "delete")]);
    let keys = "partitions = 3\ncleanup_policy = \"compact\"\nreplication_factor = 3";
    let said = refused(keys, Some(&there), 1);
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].contains("replication_factor: 3 brokers cannot hold it, for there are 1"));
    assert!(
        said[1].contains("partitions: it has 6 Kafka partitions, and Kafka cannot"),
        "{said:#?}"
    );
    assert!(said[2].contains("cleanup_policy: the topic is cleaned by \"delete\" and holds"));
    let keys = "partitions = 1\nreplication_factor = 1\n[topic.orders.properties]\nmin.insync.replicas = 2";
    let said = refused(keys, None, 3);
    assert!(said[0].contains("properties.\"min.insync.replicas\": 2 brokers must"), "{said:?}");
}

#[test]
fn a_cleanup_policy_changes_where_nothing_is_lost_or_one_insists() {
    let keys = "partitions = 1\ncleanup_policy = \"compact\"";
    let of = |holds_data| state(1, holds_data, &[("cleanup.policy", "delete")]);
    assert_eq!(good(keys, Some(&of(Some(false)))).changes.len(), 1);
    assert!(refused(keys, Some(&of(None)), 3)[0].contains("may hold records"));
    let insisted = plan(&spec(keys), Some(&of(Some(true))), 3, ALL).expect("allowed");
    assert_eq!(insisted.told(false), "cleanup.policy delete -> compact");
}

#[test]
fn a_retention_is_shortened_where_nothing_is_lost_or_one_insists() {
    let keys = "partitions = 1\nretention = \"1d\"";
    let of = |holds_data, policy| {
        state(1, holds_data, &[("cleanup.policy", policy), ("retention.ms", "604800000")])
    };
    assert_eq!(good(keys, Some(&of(Some(false), "delete"))).changes.len(), 1);
    // Compaction alone knows no age.
    assert_eq!(good(keys, Some(&of(Some(true), "compact"))).changes.len(), 1);
    for policy in ["delete", "compact,delete"] {
        let said = refused(keys, Some(&of(Some(true), policy)), 3);
        assert!(said[0].contains("--allow-shorter-retention"), "{said:?}");
    }
    assert!(refused(keys, Some(&of(None, "delete")), 3)[0].contains("may hold records"));
    let insisted = plan(&spec(keys), Some(&of(Some(true), "delete")), 3, ALL).expect("allowed");
    assert_eq!(insisted.told(false), "retention.ms 604800000 -> 86400000");

    let bytes = "partitions = 1\nproperties.\"retention.bytes\" = 1";
    let there = state(1, Some(true), &[("retention.bytes", "-1")]);
    assert!(refused(bytes, Some(&there), 3)[0].contains("keeps -1"));
    let longer = "partitions = 1\nretention = \"forever\"";
    assert_eq!(good(longer, Some(&of(Some(true), "delete"))).changes.len(), 1);
}

#[test]
fn a_broker_that_is_down_makes_no_topic_wrong() {
    let mut there = state(1, Some(true), &[]);
    there.replicas = 3;
    assert_eq!(
        plan(&spec("partitions = 1\nreplication_factor = 3"), Some(&there), 2, Allowed::default())
            .expect("a plan")
            .changes,
        []
    );
    let plan = good("partitions = 1\nreplication_factor = 2", Some(&there));
    assert!(plan.warnings[0].contains("held by 3 brokers, and not by 2"), "{plan:?}");
}

#[test]
fn moved_keys_are_told_where_there_are_any() {
    let warned = |policy, holds_data, keyed: Option<bool>| {
        let there = state(3, holds_data, &[("cleanup.policy", policy)]);
        let mut plan = good("partitions = 6", Some(&there));
        plan.warn_of_moved_keys(Some(&there), || keyed);
        plan.warnings.join(" ")
    };
    assert!(warned("compact", Some(true), None).contains("never replaced"));
    assert!(warned("delete", Some(true), Some(true)).contains("Its newest records have keys"));
    assert!(warned("delete", None, None).contains("if its records have keys"));
    assert_eq!(warned("delete", Some(true), Some(false)), "");
    assert_eq!(warned("compact", Some(false), Some(true)), "");
    let there = state(6, Some(true), &[("cleanup.policy", "compact")]);
    let mut plan = good("partitions = 6", Some(&there));
    plan.warn_of_moved_keys(Some(&there), || panic!("nobody is asked"));
    assert_eq!(plan.warnings, [""; 0]);
}

#[test]
fn a_brokers_reason_stands_at_the_line_it_is_about() {
    let spec = spec("partitions = 1\n[topic.orders.properties]\nflush.ms = \"no\"");
    let about = refused_by_broker(&spec, "Invalid value no for configuration flush.ms");
    assert!(about.to_string().contains(":4:1: topic.orders.properties.\"flush.ms\": the broker"));
    let other = refused_by_broker(&spec, "no");
    assert!(other.to_string().contains(":1:8: topic.orders: the broker refuses it: no"), "{other}");
}
