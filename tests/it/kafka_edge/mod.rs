//! The Kafka edge against real brokers.

mod chaos;
mod facts;
mod faults;
mod lane;
mod member;
mod range;
mod rebalance;
