//! What Workers keep: key-value namespaces, object buckets, databases and queues, and the one trait behind which bytes lie.
//!
//! Rows are in the house's database; bytes that are too many for a row lie behind [`objects::Objects`]; a customer's own database is a
//! file of its own. Everything is asked for with the account that it must belong to: what is another account's does not exist.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod alarm;
pub mod body;
pub mod cache;
pub mod d1;
pub mod error;
mod kept;
pub mod kv;
pub mod limits;
pub mod objects;
mod query;
pub mod queue;
pub mod r2;
pub mod rate;
mod room;
pub mod store;
mod stores;
mod sweep;

pub use error::StoreError;
pub use room::{RoomOf, Stored, held};
pub use stores::{Condition, Stores, StoresConfig};
