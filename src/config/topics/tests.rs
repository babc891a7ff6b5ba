//! A text in, topics or a report out.

use super::*;

fn load(text: &str) -> Result<Vec<TopicSpec>, ConfigErrors> {
    topics_of(&File { name: "topics.toml".into(), text })
}

fn properties(topic: &TopicSpec) -> Vec<(&str, &str)> {
    topic.properties.iter().map(|(name, found)| (name.as_str(), found.value.as_str())).collect()
}

/// All that is said of a text, without the name of the file.
fn errors(text: &str) -> Vec<String> {
    let errors = load(text).expect_err(text);
    errors.errors().iter().map(|error| error.to_string().replace("topics.toml:", "")).collect()
}

#[test]
fn topics_come_in_the_order_of_the_file_with_kafkas_own_words() {
    let topics = load(
        r#"
[topic."web.clicks"]
partitions = 12
replication_factor = 3
retention = "7d"
max_message_bytes = "2MiB"
[topic."web.clicks".properties]
min.insync.replicas = 2
"unclean.leader.election.enable" = false
min.cleanable.dirty.ratio = 0.25

[topic.accounts]
partitions = 3
retention = "forever"
cleanup_policy = "compact"
"#,
    )
    .expect("topics");
    let [clicks, accounts] = &topics[..] else { panic!("{topics:?}") };
    assert_eq!((clicks.name.as_str(), clicks.partitions.0), ("web.clicks", 12));
    assert_eq!(clicks.replication_factor.as_ref().map(|(factor, _)| *factor), Some(3));
    assert_eq!(clicks.partitions.1.to_string(), "topics.toml:3:1");
    assert_eq!(
        properties(clicks),
        [
            ("max.message.bytes", "2097152"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("min.insync.replicas", "2"),
            ("retention.ms", "604800000"),
            ("unclean.leader.election.enable", "false"),
        ]
    );
    assert_eq!(clicks.properties["min.insync.replicas"].place.to_string(), "topics.toml:8:1");
    assert_eq!(properties(accounts), [("cleanup.policy", "compact"), ("retention.ms", "-1")]);
    assert_eq!(accounts.replication_factor, None);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let said = errors(
        r#"
[topic.orders]
partition = 6
retention = 7
cleanup_policy = "compacted"
[topic."__consumer_offsets"]
partitions = 50
[topic."my topic"]
partitions = 0
[topic.x]
partitions = 1
retention.ms = 5
[topic.x.properties]
min.insync.replica = 2
retention.ms = 5
flush.ms = [1]
"#,
    );
    let wanted = [
        "2:8: topic.orders.partitions: missing; write how many Kafka partitions",
        "3:1: topic.orders.partition: unknown; did you mean partitions?",
        "4:1: topic.orders.retention: \"7\" has no unit",
        "5:1: topic.orders.cleanup_policy: \"compacted\" is not allowed; allowed: delete, compact",
        "6:8: topic.__consumer_offsets: one of Kafka's own topics",
        "8:8: topic.\"my topic\": \"my topic\" is not a topic's name",
        "9:1: topic.\"my topic\".partitions: 0 is not between 1 and",
        "12:1: topic.x.retention: a table is not a duration",
        "14:1: topic.x.properties.\"min.insync.replica\": no property of a topic; did you mean \
         min.insync.replicas?",
        "15:1: topic.x.properties.\"retention.ms\": write it as retention, a key of the topic",
        "16:1: topic.x.properties.\"flush.ms\": a list is not a text",
    ];
    assert_eq!(said.len(), wanted.len(), "{said:#?}");
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.starts_with(wanted), "{said}\nis not\n{wanted}");
    }
}

#[test]
fn what_is_no_file_of_topics_is_told() {
    for (text, wanted) in [
        ("", "topic: missing; name at least one"),
        ("[topic]", "1:2: topic: missing; name at least one"),
        ("[topics.a]\npartitions = 1", "1:2: topics: unknown; a topic is written as [topic"),
        ("[[topic]]\nname = \"a\"", "1:3: topic: a list is not a section; write [topic"),
        ("[topic]\na = 3", "2:1: topic.a: a number is not a section; write [topic.a]"),
        ("[topic.a]\npartitions = 1\npartitions = 2", "3:1: this is not TOML: duplicate key"),
        (
            "[topic.a]\npartitions = 1\n\"retention-ms\" = 1",
            "3:1: topic.a.retention-ms: unknown; here it is retention",
        ),
        ("[topic.a]\npartitions = 1\nsegment_ms = 1", "unknown; write it as \"segment.ms\" in the"),
        (
            "[topic.a]\npartitions = 1\nmin.insync.replicas = 1",
            "3:1: topic.a.min: unknown; properties by Kafka's own names",
        ),
        (
            "[topic.\"a.b\"]\npartitions = 1\n[topic.a_b]\npartitions = 1",
            "3:8: topic.a_b: Kafka takes this and a.b for one",
        ),
        (
            "[topic.a]\npartitions = 1\n[topic.a.properties]\nflush.ms = 1\n\"flush.ms\" = 2",
            "topic.a.properties.flush.ms: set twice",
        ),
    ] {
        let said = errors(text).join("\n");
        assert!(said.contains(wanted), "{text}\n{said}");
    }
}

/// A property that we never heard of may be one of a newer broker.
#[test]
fn an_unheard_of_property_is_left_to_the_broker() {
    let text = "[topic.a]\npartitions = 1\n[topic.a.properties]\ntiers.of.gold = true";
    let topics = load(text).expect("topics");
    assert_eq!(properties(&topics[0]), [("tiers.of.gold", "true")]);
}
