//! What Workers keep: key-value namespaces, object buckets, databases and queues, and the one trait behind which bytes lie.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod alarm;
