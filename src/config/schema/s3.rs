//! `[s3]`.

use super::{Fallback, GIB, HOUR, KIB, KeySpec, Kind, MIB, SECOND, SectionSpec};
use crate::config::rules::s3 as rules;

pub(super) const S3: SectionSpec = SectionSpec {
    name: "s3",
    doc: "The store and how it is reached. Credentials are not written here: they come from the \
          AWS SDK's default chain (environment, profile, web identity, container, instance).",
    by_topic: false,
    keys: &[
        KeySpec {
            path: "s3.bucket",
            kind: Kind::Text(rules::bucket),
            fallback: Fallback::Required(r#""lake""#),
            doc: "The bucket, by name alone.",
        },
        KeySpec {
            path: "s3.region",
            kind: Kind::Text(rules::region),
            fallback: Fallback::Unset(r#""eu-central-1""#),
            doc: "The bucket's region. Unset: what the SDK's chain finds (AWS_REGION, the \
                  profile, the instance).",
        },
        KeySpec {
            path: "s3.endpoint",
            kind: Kind::Text(rules::endpoint),
            fallback: Fallback::Unset(r#""http://127.0.0.1:9000""#),
            doc: "The address of a store other than AWS, such as MinIO, Ceph or R2.",
        },
        KeySpec {
            path: "s3.force_path_style",
            kind: Kind::Bool,
            fallback: Fallback::Value("false"),
            doc: "http://host/bucket/key in place of http://bucket.host/key. Most stores other \
                  than AWS want true.",
        },
        KeySpec {
            path: "s3.storage_class",
            kind: Kind::Text(rules::storage_class),
            fallback: Fallback::Unset(r#""INTELLIGENT_TIERING""#),
            doc: "The storage class of new objects. Unset: the store's own.",
        },
        KeySpec {
            path: "s3.server_side_encryption",
            kind: Kind::Choice(&["AES256", "aws:kms", "aws:kms:dsse"]),
            fallback: Fallback::Unset(r#""aws:kms""#),
            doc: "Encryption to ask for. Unset: the bucket's own setting.",
        },
        KeySpec {
            path: "s3.kms_key_id",
            kind: Kind::Text(rules::kms_key_id),
            fallback: Fallback::Unset(r#""alias/lake""#),
            doc: "The KMS key (id, ARN or alias), with aws:kms and aws:kms:dsse only.",
        },
        KeySpec {
            path: "s3.multipart_threshold",
            kind: Kind::Size { min: 5 * MIB, max: 4 * GIB },
            fallback: Fallback::Value(r#""100MiB""#),
            doc: "Objects of at least this size go up in parts.",
        },
        KeySpec {
            path: "s3.multipart_part_size",
            kind: Kind::Size { min: 5 * MIB, max: 5 * GIB },
            fallback: Fallback::Value(r#""16MiB""#),
            doc: "The size of a part; all but the last have it exactly.",
        },
        KeySpec {
            path: "s3.max_concurrent_uploads",
            kind: Kind::Count { min: 1, max: 1024 },
            fallback: Fallback::Value("16"),
            doc: "Uploads in flight at most, over all Kafka partitions.",
        },
        KeySpec {
            path: "s3.request_timeout",
            kind: Kind::Duration { min: SECOND, max: HOUR, off: false },
            fallback: Fallback::Value(r#""30s""#),
            doc: "How long one try of a request may take, beside the time that its bytes need at \
                  `min_throughput`.",
        },
        KeySpec {
            path: "s3.min_throughput",
            kind: Kind::Size { min: KIB, max: GIB },
            fallback: Fallback::Value(r#""256KiB""#),
            doc: "The slowest transfer that is not called hung, in bytes a second.",
        },
        KeySpec {
            path: "s3.retry_warn_after",
            kind: Kind::Duration { min: SECOND, max: HOUR.saturating_mul(24), off: false },
            fallback: Fallback::Value(r#""1m""#),
            doc: "Uploads are retried without end. After this long without success the daemon \
                  says so and is not ready.",
        },
    ],
};

// The largest object in the smallest parts must stay below S3's 10,000 parts.
const _: () = assert!(super::policy::MAX_OBJECT / (5 * MIB) < 10_000);
