//! Makes metrics in a registry of our own, so that a name is spelt once and cannot be taken twice.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The application's prefix of every name.
pub(super) const NAMESPACE: &str = "kafka_s3_sink";

/// Makes and registers metrics; keeps their names for the test that checks all of them.
pub(super) struct Definer {
    pub(super) registry: Registry,
    pub(super) names: Vec<String>,
}

impl Definer {
    pub(super) fn new() -> Self {
        Self { registry: Registry::new(), names: Vec::new() }
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        let made = IntCounterVec::new(opts(name, help), labels);
        self.register(name, made)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> IntGauge {
        let made = IntGauge::with_opts(opts(name, help));
        self.register(name, made)
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        let made = IntGaugeVec::new(opts(name, help), labels);
        self.register(name, made)
    }

    pub(super) fn float_gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        let made = GaugeVec::new(opts(name, help), labels);
        self.register(name, made)
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        let opts = HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() };
        let made = HistogramVec::new(opts, labels);
        self.register(name, made)
    }

    /// Names and labels are constants of this room, and the tests make all of them: a wrong or
    /// doubled one cannot reach a user.
    fn register<C>(&mut self, name: &str, made: prometheus::Result<C>) -> C
    where
        C: Collector + Clone + 'static,
    {
        let metric = made.expect("a metric's name and labels are valid");
        self.registry.register(Box::new(metric.clone())).expect("a metric is defined once");
        self.names.push(format!("{NAMESPACE}_{name}"));
        metric
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}
