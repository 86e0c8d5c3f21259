//! The record that nobody can dispute: an append-only, hash-chained log of events.
//!
//! Every event is written in the same write as the change that it records. Each entry's hash covers the entry before it
//! (INVARIANT audit-chain), and a checkpoint signed by the orchestrator is kept in a file outside the database, so that an
//! edited entry, a removed one and a cut tail are all found by [`verify_offline`].
//!
//! The entries of one write lie together, a *run* for each organisation.
//!
//! On SQLite the chain grows inside the write itself. On PostgreSQL, where several nodes write at once, entries are first
//! stored without a number and one sequencer chains them within 100 ms.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod chain;
mod checkpoint;
mod entry;
mod log;
mod query;
mod run;
mod store;
mod verify;

pub use chain::head_number;
pub use checkpoint::Checkpoint;
pub use entry::Entry;
pub use log::{Log, StartError};
pub use query::{about, decided_by, list, list_after, list_for_agent};
pub use store::{MIGRATIONS, append};
pub use verify::{Report, SignatureCheck, VerifyError, read_checkpoint, verify, verify_files, verify_offline, verify_store, verify_with};
