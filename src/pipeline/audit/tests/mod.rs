//! Tests of the whole module: buckets, and the bytes of objects.

mod buckets;
mod content;
