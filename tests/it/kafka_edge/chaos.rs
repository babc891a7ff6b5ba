//! Lanes that pause, resume, stop, start, rewind and hand over to each other at random while members come and go: every
//! offset in its turn, no hole, nothing while paused (the lanes assert it), every record once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::member::{Landed, Member, Protocol, settings};
use crate::needs_servers;
use crate::support::kafka::{Broker, Bulk};

const PARTITIONS: i32 = 8;
const RECORDS: u64 = 1_000_000;

fn nothing_is_skipped(protocol: Protocol) {
    let broker = Broker::shared_v4();
    let topic = format!("chaos-{protocol:?}").to_lowercase();
    let other = format!("{topic}-other");
    broker.create_topic(&topic, PARTITIONS, &[]);
    broker.create_topic(&other, 1, &[]);
    broker.produce_many(&Bulk::new(&topic, PARTITIONS, RECORDS));
    let group = format!("{topic}-group");
    let landed = Arc::<Landed>::default();
    let member = Member::join_in_chaos(&settings(broker, protocol, &group, &[&topic]), &landed, 7);
    let mut rebalances = 0;
    while landed.count() < RECORDS as usize && rebalances < 60 {
        // Rebalances that move nothing, and some that move half.
        let topics = if rebalances % 3 == 0 { &topic } else { &other };
        let wants = settings(broker, protocol, &group, &[topics]);
        let passer = Member::join_in_chaos(&wants, &landed, rebalances);
        std::thread::sleep(Duration::from_millis(600));
        passer.leave();
        rebalances += 1;
    }
    landed.expect(&[RECORDS as i64 / i64::from(PARTITIONS); PARTITIONS as usize]);
    assert!(rebalances >= 3, "only {rebalances} rebalances");
    let moves = member.shared.moves.load(Ordering::Relaxed);
    assert!(moves >= 10, "only {moves} went to another lane");
    member.leave();
}

#[test]
fn chaos_skips_nothing_in_a_cooperative_group() {
    needs_servers!();
    nothing_is_skipped(Protocol::Cooperative);
}

#[test]
fn chaos_skips_nothing_in_an_eager_group() {
    needs_servers!();
    nothing_is_skipped(Protocol::Eager);
}

#[test]
fn chaos_skips_nothing_in_a_kip_848_group() {
    needs_servers!();
    nothing_is_skipped(Protocol::Kip848);
}
