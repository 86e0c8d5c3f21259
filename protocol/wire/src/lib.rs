//! The language that orchestrators and providers speak: Agentic Provisioning Protocol (APP) 0.1d and our optional extensions.
//!
//! Readers are tolerant: an explicit `null` is an absent field, unknown fields are ignored, both forms of a field that
//! implementations disagree on are taken. Writers are strict: one form, the one that every known implementation takes.
//! Every extension is optional: a party that has never heard of it works as before. `docs/protocol.md` tells the whole
//! language with examples; here is what the bytes are.
//!
//! Nothing in here does I/O, keeps state or decides anything.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod account_confirmation;
pub mod assertion;
mod attested;
pub mod canonical;
pub mod catalog;
pub mod charge;
pub mod code;
pub mod control;
pub mod credit;
pub mod error;
pub mod event;
pub mod health;
pub mod id;
pub mod keys;
pub mod limits;
pub mod manifest;
pub mod metadata;
pub mod pkce;
pub mod quote;
pub mod refund;
pub mod resource;
pub mod signature;
pub mod subscription;
pub mod text;
pub mod token;
pub mod usage;

mod open;
mod plain;

/// The one version of the protocol that we speak, as the `API-Version` header carries it.
pub const VERSION: &str = "0.1d";

/// Names of the headers of the protocol.
pub mod header {
    pub const API_VERSION: &str = "api-version";
    pub const SIGNATURE: &str = "stripe-signature";
    pub const SIGNATURE_V2: &str = "stripe-signature-v2";
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
}
