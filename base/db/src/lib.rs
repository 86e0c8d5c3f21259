//! One SQL text on SQLite and PostgreSQL.
//!
//! SQLite (a file, the embedded default) and PostgreSQL (several nodes) run the same statements: `$1` placeholders,
//! `RETURNING`, `ON CONFLICT`, common table expressions; ids as text, times as integer microseconds, money as 64-bit minor
//! units, JSON as text. Migrations are one text with the tokens `{int}`, `{text}`, `{blob}`, `{strict}` and
//! `{clustered}`; statements for many rows have two of their own ([`Tx::execute_rows`]), and several statements can go together
//! ([`Tx::query_all`], [`Tx::execute_all`]).
//!
//! **Writes are closures.** `db.write(|tx| …)` may run the closure more than once, runs it inside a savepoint of a
//! transaction that it may share with others, and releases its result only after the durable commit. There is no `begin`.
//! A closure does nothing but compute and talk to `tx`: what it sends anywhere else could be sent twice or for nothing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod backup;
mod config;
mod db;
mod error;
mod gather;
mod heartbeat;
pub mod idempotency;
pub mod jobs;
mod lease;
mod migrate;
mod observe;
mod postgres;
mod row;
mod rows;
mod sqlite;
mod statement;
pub mod testing;
mod tx;
mod value;

pub use config::DbConfig;
pub use db::Db;
pub use error::DbError;
pub use gather::Gather;
pub use heartbeat::heartbeat;
pub use lease::Lease;
pub use migrate::{Migrations, is_migrated};
pub use row::{FromValue, Row};
pub use statement::Statement;
pub use tx::{Engine, Tx};
pub use value::{ToValue, Value};

/// The tables of this crate itself: jobs, idempotency keys, the heartbeat and leases.
pub const MIGRATIONS: Migrations =
    Migrations { domain: "db", steps: &[jobs::TABLE, idempotency::TABLE, heartbeat::TABLE, jobs::LANES, lease::TABLE] };
