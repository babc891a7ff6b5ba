//! `[kafka]`.

use super::{Fallback, KeySpec, Kind, SectionSpec};
use crate::config::rules::{kafka as rules, s3 as s3_rules};

pub(super) const KAFKA: SectionSpec = SectionSpec {
    name: "kafka",
    doc: "The cluster, the topics to read, and the consumer group that remembers how far they \
          were read.",
    by_topic: false,
    keys: &[
        KeySpec {
            path: "kafka.bootstrap_servers",
            kind: Kind::Text(rules::bootstrap_servers),
            fallback: Fallback::Required(r#""127.0.0.1:9092""#),
            doc: "Brokers to ask first, as host:port, separated by commas. Two or three are \
                  enough: the rest of the cluster is learned from them.",
        },
        KeySpec {
            path: "kafka.topics",
            kind: Kind::List(rules::topic, rules::topics),
            fallback: Fallback::Required(r#"["orders", "^clicks\\..*"]"#),
            doc: "Topics by name. A text that begins with ^ is a regular expression (POSIX \
                  extended); topics that come to match it later are picked up.",
        },
        KeySpec {
            path: "kafka.group_id",
            kind: Kind::Text(rules::group_id),
            fallback: Fallback::Required(r#""kafka-s3-sink""#),
            doc: "The consumer group. Every instance that shares the work has the same one; two \
                  sinks that write to different places need two.",
        },
        KeySpec {
            path: "kafka.group_protocol",
            kind: Kind::Choice(&["classic", "consumer"]),
            fallback: Fallback::Value(r#""classic""#),
            doc: "How the group agrees on who reads what: \"classic\" works with every broker, \
                  \"consumer\" (KIP-848) needs brokers of 4.0 or newer.",
        },
        KeySpec {
            path: "kafka.assignor",
            kind: Kind::Choice(&["cooperative-sticky", "eager"]),
            fallback: Fallback::Value(r#""cooperative-sticky""#),
            doc: "With the classic protocol: \"cooperative-sticky\" moves only what must move, \
                  \"eager\" (range,roundrobin) is for groups that share members with older \
                  clients.",
        },
        KeySpec {
            path: "kafka.group_instance_id",
            kind: Kind::Text(rules::group_instance_id),
            fallback: Fallback::Unset(r#""sink-0""#),
            doc: "Static membership: a name of this instance alone that survives a restart, so \
                  that a quick restart moves nothing. Two instances must never share one.",
        },
        KeySpec {
            path: "kafka.msk_iam_region",
            kind: Kind::Text(s3_rules::region),
            fallback: Fallback::Unset(r#""eu-central-1""#),
            doc: "Signs in to an Amazon MSK cluster of this region with IAM (SASL_SSL, \
                  OAUTHBEARER, port 9098), with the credentials that the AWS SDK's chain finds.",
        },
        KeySpec {
            path: "kafka.start",
            kind: Kind::Choice(&["earliest", "latest"]),
            fallback: Fallback::Value(r#""earliest""#),
            doc: "Where the first start of all begins: at the oldest record, or after the newest. \
                  Later starts go on where the group stands.",
        },
        KeySpec {
            path: "kafka.on_lost_offsets",
            kind: Kind::Choice(&["error", "start"]),
            fallback: Fallback::Value(r#""error""#),
            doc: "Where the group's offsets expired, were deleted or were set by hand: \"error\" \
                  stops that Kafka partition and explains (`recover` computes from the bucket where \
                  to go on), \"start\" goes on from the offset that is there, else from `start`, but \
                  only where the bucket holds nothing of it from there on.",
        },
        KeySpec {
            path: "kafka.on_offset_out_of_range",
            kind: Kind::Choice(&["stop", "earliest"]),
            fallback: Fallback::Value(r#""stop""#),
            doc: "Where Kafka has deleted records that were not read yet: \"stop\" stops that \
                  Kafka partition and says what was lost, \"earliest\" goes on at the oldest \
                  record and counts the loss.",
        },
        KeySpec {
            path: "kafka.isolation_level",
            kind: Kind::Choice(&["read_committed", "read_uncommitted"]),
            fallback: Fallback::Value(r#""read_committed""#),
            doc: "Whether records of aborted and open transactions are left out \
                  (\"read_committed\") or land too.",
        },
        KeySpec {
            path: "kafka.lanes",
            kind: Kind::Count { min: 1, max: 64 },
            fallback: Fallback::Machine(
                "the number of cores, at most 8, and as many as memory.limit has room for",
                "2",
            ),
            doc: "Threads that decode and compress; each owns some of the Kafka partitions.",
        },
    ],
};
