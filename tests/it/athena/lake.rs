//! A bucket that the real sink filled, once for all these tests, and what was produced for it.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::Athena;
use crate::support::bucket::Bucket;
use crate::support::kafka::{Broker, RawRecord};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::WorkDir;

/// Of the bucket, which a stack makes under the same name on the stand-in for AWS.
pub(super) const BUCKET: &str = "lake-of-athena";

/// Topics of the same records: with the envelope, and compressed in each way.
pub(super) const TOPICS: [&str; 3] = ["athena.gzip", "athena-zstd", "athena_plain"];
/// A topic of records that no one type fits, and of names that no column can have.
pub(super) const ODD: &str = "athena-odd";
/// A topic of the events that `produce` makes.
pub(super) const ORDERS: &str = "orders";
/// A topic of such events, of which the first few have timestamps of no use.
pub(super) const STRAYS: &str = "athena-strays";
pub(super) const STRAY: [i64; 2] = [3, 5];
/// A topic that the sink does not read.
pub(super) const UNREAD: &str = "athena-unread";
pub(super) const ORDERS_COUNT: u64 = 2_000;

const RECORDS: i64 = 360;
/// Records whose timestamps are of no use.
const LOST: i64 = 6;
const HOUR_MS: i64 = 3_600_000;
const HOURS: [i64; 3] = [0, 7, 23];

const PATIENCE: Duration = Duration::from_secs(120);

/// All of it.
pub(super) struct Lake {
    pub(super) athena: Athena,
    pub(super) bucket: Bucket,
    pub(super) config: SinkConfig,
    /// Midnight of the day before yesterday.
    first_day: i64,
}

impl Lake {
    pub(super) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Lake>> = OnceLock::new();
        SHARED.get_or_init(|| Minio::shared().map(Self::fill)).as_ref()
    }

    fn fill(minio: &Minio) -> Self {
        let bucket = Bucket::create(minio, BUCKET);
        let broker = Broker::shared_v4();
        let topics = [&TOPICS[..], &[ODD, ORDERS, STRAYS]].concat();
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
        let config = SinkConfig::new(broker, &bucket, "athena")
            .set("kafka.topics", topics)
            .set("topic.\"athena.gzip\".records.envelope", "fields")
            .set("topic.\"athena-zstd\".layout.compression", "zstd")
            .set("topic.athena_plain.layout.compression", "none")
            .set("topic.orders.records.envelope", "fields");
        let now = jiff::Timestamp::now().as_millisecond();
        let first_day = now - now % (24 * HOUR_MS) - 48 * HOUR_MS;
        let this = Self { athena: Athena::start(minio), bucket, config, first_day };
        this.produce(broker);
        Sink::run_until_end(&this.config).wait_success(PATIENCE);
        this
    }

    fn produce(&self, broker: &Broker) {
        for topic in TOPICS.into_iter().chain([ODD, STRAYS]) {
            // Kafka 4 takes no timestamps that are an hour ahead.
            let any_time = ("message.timestamp.after.max.ms", "9223372036854775807");
            broker.create_topic(topic, 2, &[any_time]);
        }
        let records: Vec<_> = (0..RECORDS + LOST).map(|id| self.record(id)).collect();
        for topic in TOPICS {
            broker.produce_raw(topic, &records);
        }
        let odd = [
            r#"{"dt":"a","User Id":1,"größe":1,"any":1,"Case":1,"deep":{"x y":1},"a.b":"x"}"#,
            r#"{"DT":"b","user id":2,"größe":2.5,"any":"t","case":2,"deep":{"x y":2}}"#,
            r#"{"Dt":"c","User id":3,"größe":null,"any":{"b":[1, 2]},"CASE":3}"#,
            r#"{"dT":"d","user Id":4,"any":true,"casE":4,"deep":null}"#,
        ];
        broker.produce_raw(ODD, &odd.map(RawRecord::of));
        let [lost, all] = STRAY;
        let strays: Vec<_> = (0..all).map(|id| self.stray(id, id < lost)).collect();
        broker.produce_raw(STRAYS, &strays);
        broker.create_topic(UNREAD, 1, &[]);
        broker.produce_raw(UNREAD, &[RawRecord::of("{\"a\":1}")]);
        let server = broker.bootstrap();
        let count = ORDERS_COUNT.to_string();
        let said = command(&["produce", "--bootstrap-servers", &server, "--topic", ORDERS])
            .args(["--create", "--partitions", "3", "--count", &count])
            .args(["--event-time-span", "30h", "--late-share", "5%", "--late-by", "12h"])
            .output();
        assert!(said.expect("it starts").status.success());
    }

    fn stray(&self, id: i64, is_lost: bool) -> RawRecord {
        let value =
            json!({"id": id.to_string(), "sequence": id, "amount": 1.5, "user": {"id": "u"}});
        let mut record = RawRecord::of(value.to_string());
        // A producer takes 0 for now.
        record.timestamp_ms = Some(if is_lost { 1 + id } else { self.first_day + id });
        record
    }

    /// What a record is of which nothing is odd.
    fn record(&self, id: i64) -> RawRecord {
        let country = if id % 5 == 0 { "Country" } else { "country" };
        let amount = if id % 4 == 0 { json!(id / 4) } else { json!(id as f64 / 4.0) };
        let mixed = if id % 2 == 0 { json!(id) } else { json!(format!("x{id}")) };
        let value = json!({
            "id": id, country: "AT", "amount": amount, "big": BIG - id, "mixed": mixed,
            "name": name(id), "paid": id % 3 == 0, "none": null,
            "user": {"id": id, "Name": name(id), "timestamp": "t", "tags": ["a", null]},
            "items": [{"sku": "s", "price": 1.5}, {"sku": "t"}],
        });
        RawRecord {
            partition: (id % 2) as i32,
            key: (id % 2 == 0).then(|| id.to_string().into_bytes()),
            value: Some(value.to_string().into_bytes()),
            timestamp_ms: Some(self.timestamp(id)),
            headers: vec![("h".to_owned(), Some(b"v".to_vec()))],
        }
    }

    /// Late ones stand among the others, and the last few are outside of `layout.usable_time`.
    fn timestamp(&self, id: i64) -> i64 {
        const YEAR_2150: i64 = 5_680_281_600_000;
        match id - RECORDS {
            0.. if id % 2 == 0 => id,
            0.. => YEAR_2150,
            _ => self.first_day + (24 * (id % 3) + HOURS[(id / 3 % 3) as usize]) * HOUR_MS + id,
        }
    }

    pub(super) fn day(&self, number: i64) -> String {
        at(self.first_day + 24 * number * HOUR_MS, "%Y-%m-%d")
    }

    /// The rows of the table, or of the one for the others, as they must be read.
    pub(super) fn rows(&self, usable: bool, envelope: bool) -> Value {
        let ids = if usable { 0..RECORDS } else { RECORDS..RECORDS + LOST };
        ids.map(|id| self.row(id, usable, envelope)).collect()
    }

    fn row(&self, id: i64, usable: bool, envelope: bool) -> Value {
        let mixed = if id % 2 == 0 { id.to_string() } else { format!("x{id}") };
        let mut row = vec![json!(id as f64 / 4.0), json!(BIG - id), json!("AT"), json!(id)];
        row.push(json!([[1.5, "s"], [null, "t"]]));
        row.extend([json!(mixed), json!(name(id)), json!(null), json!(id % 3 == 0)]);
        row.push(json!([id, name(id), ["a", null], "t"]));
        let timestamp = self.timestamp(id);
        if envelope {
            let key = (id % 2 == 0).then(|| id.to_string());
            let headers = json!([["h", "v", null]]);
            row.push(json!([TOPICS[0], id % 2, id / 2, timestamp, key, null, headers]));
        }
        let place = |format| at(timestamp, format);
        match usable {
            true => row.extend([json!(place("%Y-%m-%d")), json!(place("%H"))]),
            false => row.extend([json!("1970-01-01"), json!("00")]),
        }
        row.into()
    }

    /// What `ddl` prints, and what it warns of.
    pub(super) fn ddl(&self, topic: &str, args: &[&str]) -> (String, String) {
        let dir = WorkDir::new("ddl");
        let file = dir.path().join("sink.toml");
        std::fs::write(&file, self.config.text()).expect("a configuration file");
        let mut command = command(&["ddl", "--topic", topic]);
        if !args.contains(&"--since") {
            command.args(["--since", &self.day(0)]);
        }
        let said = command.args(args).arg("--config").arg(&file).envs(self.config.environment());
        let said = said.output().expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (out, err) = (text(said.stdout), text(said.stderr));
        assert!(said.status.success(), "{err}");
        (out, err)
    }
}

/// Beyond what a double holds to the last digit.
const BIG: i64 = i64::MAX - 1;

fn name(id: i64) -> String {
    format!("größe € 😀 \u{2028}\u{85} \"{id}\" \\ \r\n\t")
}

pub(super) fn at(timestamp_ms: i64, format: &str) -> String {
    let at = jiff::Timestamp::from_millisecond(timestamp_ms).expect("a time");
    at.strftime(format).to_string()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
    command.args(args);
    command
}
