//! The sink: the real binary, run to the end of a topic into a bucket of its own.

use std::time::{Duration, Instant};

use crate::cost::Cost;
use crate::landed::{self, Landed};
use crate::stage::{Stage, Topic, fresh};
use crate::support::bucket::Bucket;
use crate::support::sink::{Sink, SinkConfig};

const TIMEOUT: Duration = Duration::from_secs(900);

/// A setting that differs from the headline's.
pub(crate) type Set = (&'static str, toml::Value);

/// What the headline's rows have: defaults, but for a budget that is the same on any machine.
pub(crate) fn config(stage: &Stage, bucket: &Bucket, topic: &Topic, set: &[Set]) -> SinkConfig {
    let config = SinkConfig::new(&stage.broker, bucket, &topic.name)
        .set("kafka.group_id", fresh("bench"))
        .set("rotation.max_age", "5m")
        .set("memory.limit", "1GiB");
    set.iter().fold(config, |config, (key, value)| config.set(key, value.clone()))
}

/// One run.
pub(crate) struct Run {
    pub(crate) cost: Cost,
    pub(crate) landed: Landed,
    /// Where the objects are, until `landed::empty`.
    pub(crate) bucket: Bucket,
}

/// Lands a topic once; every record of it must be there.
pub(crate) fn run(stage: &Stage, topic: &Topic, set: &[Set]) -> Run {
    let bucket = stage.bucket();
    let config = config(stage, &bucket, topic, set);
    let started = Instant::now();
    let mut sink = Sink::run_until_end(&config);
    let end = sink.wait_success(TIMEOUT);
    let cost = Cost::of(&end, started.elapsed());
    let landed = landed::by_metadata(&bucket);
    assert_eq!(landed.records, topic.records, "every record of {} landed once", topic.name);
    Run { cost, landed, bucket }
}

/// The same where only the cost is asked for.
pub(crate) fn cost(stage: &Stage, topic: &Topic, set: &[Set]) -> (Cost, Landed) {
    let run = run(stage, topic, set);
    landed::empty(&run.bucket);
    (run.cost, run.landed)
}
