//! What lanes add to gauges of the whole process.

use prometheus::IntGauge;

/// One contributor's part of a gauge of the whole process: lanes set their own part, Prometheus
/// reads the sum. The part goes when its owner goes.
#[derive(Debug)]
pub struct Share {
    gauge: IntGauge,
    mine: i64,
}

impl Share {
    pub(super) fn of(gauge: &IntGauge) -> Self {
        Self { gauge: gauge.clone(), mine: 0 }
    }

    /// Replaces this contributor's part.
    pub fn set(&mut self, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.gauge.add(value - self.mine);
        self.mine = value;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.sub(self.mine);
    }
}

/// A lane's part of the process-wide gauges; made once a lane by `Metrics::lane`.
#[derive(Debug)]
pub struct LaneMetrics {
    /// Batches that are open or on their way.
    pub open_batches: Share,
    /// Memory that open batches and their encoders hold, in bytes.
    pub batch_bytes: Share,
    /// Memory that ended batches hold until they have landed, in bytes.
    pub in_flight_bytes: Share,
}
