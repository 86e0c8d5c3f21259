//! Databases: one SQLite file each, and every call one transaction.
//!
//! A customer's SQL runs in this process, on a connection that can reach nothing but its own file: see [`guard`] for what it may say and
//! [`crate::limits`] for how much. What follows from that is told in `docs/threat-model.md`.
//!
//! INVARIANT (own-file): a connection is opened on the file of a database that was just looked up among its account's, and never attaches another.

pub mod binding;
mod call;
pub mod database;
pub mod dump;
pub mod engine;
mod fulltext;
mod functions;
pub mod guard;
pub mod history;
pub mod import;
pub mod query;
pub mod run;
mod stop;
pub mod transfer;
pub mod travel;
mod watch;
