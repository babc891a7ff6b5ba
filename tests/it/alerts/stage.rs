//! The stage of the live test: a Prometheus with the shipped files, hurried up, that scrapes one
//! sink on a fixed port, with a store of its own that can be taken away.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{RULES, file};
use crate::sink::{Case, PATIENCE};
use crate::support::kafka::{Broker, RawRecord};
use crate::support::minio::Minio;
use crate::support::prometheus::Prometheus;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::free_port;

/// Records that land: each is counted at the end.
pub(super) const ORDERS: &str = "watch-orders";
/// Records of which some become dead letters.
pub(super) const ODD: &str = "watch-odd";
/// A topic that stops at what is no line.
pub(super) const STOPS: &str = "watch-stops";

/// The rules as they are shipped, but for their durations: a minute of a range becomes 1.5 s, of that
/// of rebalances 4 s, for members do not come and go as fast as that, and every `for` two seconds.
fn hurried_rules() -> String {
    let rules = file(RULES);
    let held = regex::Regex::new(r"(?m)^( +for: )\d+m$").expect("a pattern");
    let rules = held.replace_all(&rules, "${1}2s");
    let of_rebalances =
        regex::Regex::new(r"(_rebalances_total\{[^}]+\}\[)5m\]").expect("a pattern");
    let rules = of_rebalances.replace_all(&rules, "${1}20s]");
    let range = regex::Regex::new(r"(\[|offset )(\d+)m\b").expect("a pattern");
    let hurried = range.replace_all(&rules, |found: &regex::Captures| {
        let minutes: u64 = found[2].parse().expect("minutes");
        format!("{}{}ms", &found[1], minutes * 1500)
    });
    for range in ["[20s]", "[7500ms]", "[22500ms]", "offset 22500ms"] {
        assert!(hurried.contains(range), "{range}: {hurried}");
    }
    hurried.into_owned()
}

/// The example as it is shipped, but for the target, the intervals, and the labels that the operator
/// would set for a pod.
fn hurried_config(target: &str) -> String {
    let config = file("deploy/prometheus/prometheus.yml");
    let shipped = "- targets: [\"127.0.0.1:9464\"]\n";
    assert!(config.contains("15s") && config.contains(shipped), "{config}");
    let of_pod = "        labels: { namespace: data, pod: lake-sink-0 }\n";
    config.replace("15s", "1s").replace(shipped, &format!("- targets: [\"{target}\"]\n{of_pod}"))
}

pub(super) struct Stage {
    pub(super) minio: Minio,
    pub(super) case: Case<'static>,
    pub(super) prometheus: Prometheus,
    target: String,
    fired: RefCell<BTreeSet<String>>,
}

impl Stage {
    /// `None` where there are no servers and the tests may go on without.
    pub(super) fn set() -> Option<Self> {
        let minio = Minio::start()?;
        let broker = Broker::shared_v4();
        for (topic, partitions) in [(ORDERS, 4), (ODD, 1), (STOPS, 1)] {
            broker.create_topic(topic, partitions, &[]);
        }
        let case = Case::at(broker, &minio, ORDERS, 4);
        let target = format!("127.0.0.1:{}", free_port());
        let rules = hurried_rules();
        let rules = ("kafka-s3-sink.rules.yml", rules.as_str());
        let prometheus = Prometheus::start(&hurried_config(&target), rules);
        Some(Self { minio, case, prometheus, target, fired: RefCell::default() })
    }

    /// What every member of the group has.
    pub(super) fn config(&self) -> SinkConfig {
        self.case
            .config()
            .set("kafka.topics", vec![ORDERS.to_owned(), ODD.to_owned(), STOPS.to_owned()])
            .set("kafka.on_offset_out_of_range", "earliest")
            .set(&format!("topic.{STOPS}.records.on_invalid"), "stop")
            .set("memory.limit", "96MiB")
            .set("records.max_bytes", "1MiB")
            .set("kafka.lanes", 2)
            .set("layout.compression", "none")
            .set("rotation.max_bytes", "4GiB")
            .set("rotation.max_age", "2s")
    }

    /// The one that is scraped.
    pub(super) fn scraped(&self) -> SinkConfig {
        self.config().set("http.listen", self.target.clone())
    }

    pub(super) fn produce_raw(&self, topic: &str, values: &[Option<&str>]) {
        let record = |value: &Option<&str>| RawRecord {
            value: value.map(|value| value.as_bytes().to_vec()),
            ..RawRecord::default()
        };
        let records: Vec<_> = values.iter().map(record).collect();
        self.case.broker.produce_raw(topic, &records);
    }

    /// Waits until each of these alerts has fired; a short one may have cleared by then.
    pub(super) fn wait_firing(&self, sink: &mut Option<Sink>, alerts: &[&str]) {
        let mut awaited: BTreeSet<_> = alerts.iter().copied().collect();
        self.watch(sink, &format!("{alerts:?} to fire"), |firing| {
            awaited.retain(|alert| !firing.contains(*alert));
            awaited.is_empty()
        });
    }

    /// Waits until none of these fires.
    pub(super) fn wait_clear(&self, sink: &mut Option<Sink>, alerts: &[&str]) {
        self.watch(sink, &format!("{alerts:?} to clear"), |firing| {
            alerts.iter().all(|alert| !firing.contains(*alert))
        });
    }

    /// Waits until an expression gives something.
    pub(super) fn wait_found(&self, sink: &mut Option<Sink>, expression: &str) {
        self.watch(sink, expression, |_| {
            !self.prometheus.query(expression).expect("an answer").is_empty()
        });
    }

    /// Waits until no alert fires at all.
    pub(super) fn wait_peace(&self, sink: &mut Option<Sink>) {
        self.watch(sink, "no alert to fire", BTreeSet::is_empty);
    }

    fn watch(
        &self,
        sink: &mut Option<Sink>,
        what: &str,
        mut holds: impl FnMut(&BTreeSet<String>) -> bool,
    ) {
        let began = Instant::now();
        loop {
            let firing = self.prometheus.firing();
            self.fired.borrow_mut().extend(firing.iter().cloned());
            if holds(&firing) {
                return;
            }
            let ended = sink.as_mut().and_then(Sink::ended);
            let log = || sink.as_ref().map(Sink::log).unwrap_or_default();
            let metrics = || sink.as_ref().map(Sink::metrics).unwrap_or_default();
            let over = ended.is_some() || began.elapsed() > PATIENCE;
            assert!(
                !over,
                "waited for {what}, firing are {firing:?}\n{}\n{:#?}\n{}",
                self.prometheus.log(),
                metrics(),
                log()
            );
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// All alerts that were ever seen firing.
    pub(super) fn fired(&self) -> BTreeSet<String> {
        self.fired.borrow().clone()
    }
}
