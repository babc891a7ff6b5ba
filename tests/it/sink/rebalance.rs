//! Instances that join and leave while records come in.

use super::*;

/// What may happen next to the instances.
fn churn(case: &Case<'_>, config: &SinkConfig) {
    let bulk = Bulk { rate: Some(1500), ..case.bulk(30_000) };
    let config = config.clone().set("rotation.max_age", "1s").set("rotation.max_records", 120);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| case.broker.produce_many(&bulk));
        let mut stays = Sink::run(&config);
        stays.wait_ready(PATIENCE);
        for round in 0..4 {
            let mut comes = Sink::run(&config);
            comes.wait_for_log(" kafka_partition=", PATIENCE);
            std::thread::sleep(Duration::from_millis(1200));
            comes.sigterm();
            comes.wait_success(PATIENCE);
            if round == 1 {
                // The one that stayed goes too, and nobody is left for a moment.
                stays.sigterm();
                stays.wait_success(PATIENCE);
                stays = Sink::run(&config);
            }
            assert!(!comes.log().contains("code="), "{}", comes.log());
        }
        let expected = producer.join().expect("produced");
        case.wait_committed(&mut stays);
        assert!(stays.metric("kafka_s3_sink_rebalances_total") >= 1.0);
        stays.sigterm();
        stays.wait_success(PATIENCE);
        assert!(!stays.log().contains("code="), "{}", stays.log());
        case.assert_exact(&expected);
    });
}

#[test]
fn two_that_join_and_leave() {
    let Some(case) = Case::shared("e2e-churn", 6) else { return };
    churn(&case, &case.config());
}

#[test]
fn two_that_join_and_leave_with_kip_848() {
    let Some(case) = Case::shared("e2e-churn-848", 6) else { return };
    churn(&case, &case.config_848());
}

#[test]
fn two_that_join_and_leave_eagerly() {
    let Some(case) = Case::shared("e2e-churn-eager", 6) else { return };
    churn(&case, &case.config().set("kafka.assignor", "eager").set("rotation.on_revoke", "flush"));
}
