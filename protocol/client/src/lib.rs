//! Orchestrator → provider: typed, signed calls, and what a failure means for the one who has to go on.
//!
//! Every call carries `API-Version`, `Stripe-Signature-V2` and, where a secret is shared ([`Identity`]), `Stripe-Signature`, and goes through the guarded fetcher. Nothing here
//! repeats a call: sagas and jobs do, by the kind of [`CallError`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod calls;
pub mod client;
pub mod discovery;
pub mod error;
pub mod identity;

mod answer;

pub use calls::controls::ControlError;
pub use client::{ProviderClient, ProviderEndpoint, Signer};
pub use discovery::{Discovery, DiscoveryError};
pub use error::CallError;
pub use identity::{ClientDocument, Identity};
