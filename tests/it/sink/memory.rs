//! One budget for the process, looked at by its resident size and not by its own counter.

use super::*;

const LIMIT_KIB: u64 = 192 << 10;

#[test]
fn batches_beyond_the_budget_are_flushed_and_the_resident_size_stays_below_it() {
    let Some(case) = Case::shared("e2e-memory", 8) else { return };
    // Plain text of more than the limit, and batches that nothing but memory would end.
    let expected = case.broker.produce_many(&Bulk { size: 1000, ..case.bulk(400_000) });
    let config = case
        .config()
        .set("memory.limit", "192MiB")
        .set("layout.compression", "none")
        .set("rotation.max_age", "20s")
        .set("rotation.max_bytes", "4GiB");
    let mut sink = Sink::run(&config);
    case.wait_committed(&mut sink);
    let peak = sink.peak_rss_kib();
    let metrics = sink.metrics();
    let flushed: f64 = metrics
        .iter()
        .filter(|(name, _)| name.contains("batches_total") && name.contains("\"memory\""))
        .map(|(_, count)| count)
        .sum();
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
    assert!(flushed > 0.0, "{metrics:?}");
    assert!(peak < LIMIT_KIB, "{peak} KiB resident of {LIMIT_KIB}");
}
