//! The librdkafka properties that would break the promise, with the reason and what to use.

const OFFSETS: &str = "offsets are committed by the sink alone, after the objects are in S3";
const START: &str = "where reading starts is set by kafka.start, kafka.on_lost_offsets and \
                     kafka.on_offset_out_of_range; librdkafka would jump in silence";
const STORE: &str = "offsets are kept by the consumer group alone, together with the pins";
const EVENTS: &str = "the sink chooses the events it needs";

/// Name, and reason.
pub(in crate::config) const REFUSED: &[(&str, &str)] = &[
    (
        "allow.auto.create.topics",
        "reading makes no topics: one that was deleted would come back empty",
    ),
    ("auto.commit.enable", OFFSETS),
    ("auto.commit.interval.ms", OFFSETS),
    ("auto.offset.reset", START),
    ("bootstrap.servers", "set kafka.bootstrap_servers"),
    ("consume.callback.max.messages", EVENTS),
    ("enable.auto.commit", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("enable.partition.eof", "the sink needs it on, to know where a log with gaps ends"),
    ("enabled_events", EVENTS),
    ("group.id", "set kafka.group_id"),
    ("group.instance.id", "set kafka.group_instance_id"),
    ("group.protocol", "set kafka.group_protocol"),
    ("group.protocol.type", "the group is one of consumers"),
    ("isolation.level", "set kafka.isolation_level, for batches remember it"),
    ("log.queue", "the sink takes librdkafka's log lines from it; set log.level"),
    ("metadata.broker.list", "set kafka.bootstrap_servers"),
    ("offset.store.method", STORE),
    ("offset.store.path", STORE),
    ("offset.store.sync.interval.ms", STORE),
    ("partition.assignment.strategy", "set kafka.assignor"),
];
