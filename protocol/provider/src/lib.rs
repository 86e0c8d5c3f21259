//! SDK for providers of the Agentic Provisioning Protocol: implement [`Provider`], mount the router, be listed.
//!
//! The SDK owns what every provider would otherwise get wrong: signatures and replays, API versions, bearer tokens and their
//! rotation, single-use codes, idempotency keys, body limits, schema checks, error envelopes. A provider says what it sells
//! and does it. State lives in a [`Store`]; [`MemoryStore`] serves tests and small providers, everybody else brings a database.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod call;
pub mod error;
pub mod provider;
pub mod store;

pub use call::{AccountCall, Call, Identity};
pub use error::ProviderError;
pub use provider::{AccountOpen, AccountOutcome, Provider};
pub use store::{MemoryStore, Store, StoreError};
