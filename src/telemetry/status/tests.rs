use super::*;
use crate::record::{Epoch, Offset};

fn partition(topic: &str, number: i32, epoch: u64) -> KafkaPartitionStatus {
    let partition = TopicPartition::new(topic, number);
    KafkaPartitionStatus::new(partition, Epoch(epoch), "consuming", TimestampMs(1_763_800_000_000))
}

fn stopped(topic: &str, number: i32) -> KafkaPartitionStatus {
    let message = "offsets are gone; run `recover --apply`".to_owned();
    let stop = Some(Stop { code: "lost_offsets", message });
    KafkaPartitionStatus { stop, ..partition(topic, number, 1) }
}

fn ready() -> Status {
    let status = Status::new();
    Condition::ALL.iter().for_each(|condition| status.met(*condition));
    status
}

fn names(status: &Status) -> Vec<String> {
    status.kafka_partitions().iter().map(|one| one.partition.to_string()).collect()
}

fn unmet(status: &Status) -> Vec<&'static str> {
    let conditions = status.readiness().conditions;
    conditions.iter().filter(|one| !one.ok).map(|one| one.condition).collect()
}

#[test]
fn nothing_is_taken_for_granted_at_the_start() {
    let status = Status::new();
    assert_eq!(unmet(&status), ["group_answered", "broker_reachable", "store_reachable"]);
    assert!(!status.readiness().ready);
    assert!(status.live());
}

#[test]
fn an_answer_of_the_group_without_kafka_partitions_is_ready() {
    assert!(ready().readiness().ready);
}

#[test]
fn each_condition_by_itself_takes_readiness_away_and_gives_it_back() {
    let status = ready();
    for condition in Condition::ALL {
        status.unmet(condition, "gone");
        assert_eq!(unmet(&status), [condition.as_str()]);
        assert!(!status.readiness().ready);
        status.met(condition);
        assert!(status.readiness().ready);
    }
}

#[test]
fn a_reason_may_change_while_the_time_stands() {
    let status = Status::new();
    let since = |status: &Status| lock(&status.daemon).conditions[1].since;
    lock(&status.daemon).conditions[1].since = TimestampMs(7);
    status.unmet(Condition::BrokerReachable, "first");
    status.unmet(Condition::BrokerReachable, "second");
    assert_eq!(since(&status), TimestampMs(7));
    assert!(status.summary().contains("broker_reachable (second)"));
    status.met(Condition::BrokerReachable);
    assert!(since(&status) > TimestampMs(7));
}

#[test]
fn one_stopped_kafka_partition_takes_readiness_away() {
    let status = ready();
    status.update(0, vec![partition("orders", 0, 1), stopped("orders", 1)]);
    assert_eq!(unmet(&status), ["no_kafka_partition_stopped"]);
    let body = serde_json::to_value(status.readiness()).unwrap();
    let listed = &body["stopped_kafka_partitions"];
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["topic"], "orders");
    assert_eq!(listed[0]["partition"], 1);
    assert_eq!(listed[0]["code"], "lost_offsets");
    assert_eq!(listed[0]["reason"], "offsets are gone; run `recover --apply`");
    assert_eq!(listed[0]["since"], "2025-11-22T08:26:40Z");
    status.update(0, vec![partition("orders", 0, 1), partition("orders", 1, 2)]);
    assert!(status.readiness().ready);
}

#[test]
fn a_shutdown_is_not_ready_but_alive() {
    let status = ready();
    status.shutting_down();
    assert_eq!(unmet(&status), ["not_shutting_down"]);
    assert!(status.live());
}

#[test]
fn a_lane_replaces_its_own_and_no_others() {
    let status = Status::new();
    status.update(0, vec![partition("orders", 2, 1), partition("orders", 0, 1)]);
    status.update(1, vec![partition("clicks", 0, 1)]);
    assert_eq!(names(&status), ["clicks[0]", "orders[0]", "orders[2]"]);
    status.update(0, vec![partition("orders", 0, 1)]);
    assert_eq!(names(&status), ["clicks[0]", "orders[0]"]);
    status.remove_lane(1);
    assert_eq!(names(&status), ["orders[0]"]);
    status.update(0, vec![]);
    assert!(names(&status).is_empty());
}

#[test]
fn of_two_assignments_of_one_kafka_partition_the_newer_counts() {
    for (first, second) in [(1, 2), (2, 1)] {
        let status = Status::new();
        status.update(0, vec![partition("orders", 0, first)]);
        status.update(1, vec![partition("orders", 0, second)]);
        let epochs: Vec<_> = status.kafka_partitions().iter().map(|one| one.epoch).collect();
        assert_eq!(epochs, [Epoch(2)]);
    }
}

#[test]
fn lags_need_both_ends_and_are_never_negative() {
    let mut one = partition("orders", 0, 1);
    assert_eq!((one.consumed_lag(), one.landed_lag()), (None, None));
    one.end = Some(Offset(100));
    one.position = Some(Offset(90));
    assert_eq!((one.consumed_lag(), one.landed_lag()), (Some(10), None));
    one.committed = Some(Offset(40));
    assert_eq!(one.landed_lag(), Some(60));
    one.position = Some(Offset(105));
    assert_eq!(one.consumed_lag(), Some(0));
}

#[test]
fn the_summary_says_what_people_want_to_know_first() {
    let status = ready();
    let behind = KafkaPartitionStatus {
        committed: Some(Offset(40)),
        end: Some(Offset(100)),
        ..partition("orders", 0, 1)
    };
    status.update(0, vec![behind]);
    assert_eq!(status.summary(), "ready; Kafka partitions: 1, offsets not landed: 60");
    status.unmet(Condition::StoreReachable, "s3.bucket: no bucket `lake`");
    assert_eq!(
        status.summary(),
        "not ready: store_reachable (s3.bucket: no bucket `lake`); \
         Kafka partitions: 1, offsets not landed: 60"
    );
}

#[test]
fn a_panic_that_held_the_lock_does_not_silence_the_status() {
    let status = std::sync::Arc::new(ready());
    let theirs = std::sync::Arc::clone(&status);
    let panicked = std::thread::spawn(move || {
        let _held = theirs.lanes.lock().unwrap();
        std::panic::resume_unwind(Box::new("while it held the lock"));
    });
    panicked.join().unwrap_err();
    assert!(status.lanes.is_poisoned());
    status.update(0, vec![partition("orders", 0, 1)]);
    assert_eq!(names(&status), ["orders[0]"]);
}
