//! SDK for providers of the Agentic Provisioning Protocol: implement [`Provider`], mount [`router`], be listed.
//!
//! The SDK owns what every provider would otherwise get wrong: signatures and replays, API versions, bearer tokens and their
//! rotation, single-use codes, idempotency keys, body limits, schema checks, error envelopes. A provider says what it sells
//! and does it. State lives in a [`Store`]; [`MemoryStore`] serves tests and small providers, everybody else brings a database.
//!
//! `examples/tiny.rs` is a whole provider.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod call;
pub mod codes;
pub mod config;
pub mod error;
pub mod keys;
pub mod metadata;
pub mod orchestrator;
pub mod provider;
pub mod store;

mod gate;
mod idempotency;
mod reply;
mod routes;
mod schema;

pub use call::{AccountCall, Call, Identity};
pub use codes::{CodeFor, Codes, MintedCode, mint_code};
pub use config::{AnswerWith, Config};
pub use error::ProviderError;
pub use keys::OrchestratorKeys;
pub use metadata::AuthorizationServer;
pub use orchestrator::{OrchestratorClient, OrchestratorError};
pub use provider::{AccountOpen, AccountOutcome, Answer, Provider};
pub use routes::router;
pub use store::{Access, MemoryStore, Store, StoreError};
