//! Tests of the whole module: buckets, the bytes of objects, and what Kafka says.

mod buckets;
mod content;
mod kafka;
