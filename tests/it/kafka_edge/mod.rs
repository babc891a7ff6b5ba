//! The Kafka edge against real brokers.

mod chaos;
mod facts;
mod faults;
mod member;
mod rebalance;
