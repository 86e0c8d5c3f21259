//! Cryptography as the house uses it: few algorithms, typed keys, strict parsers.
//!
//! All primitives come from aws-lc-rs. This crate only fixes the choices: AES-256-GCM for sealing, HMAC-SHA-256 for
//! codes and shared-secret signatures, Ed25519 and ES256 for signatures, SHA-256 for digests. RS256 and PS256
//! are verified where others sign with them (passkeys, companies, issuers of workloads), and nothing here signs so.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod encoding;
pub mod jose;
pub mod mac;
pub mod seal;
pub mod token;
pub mod webauthn;

pub use mac::constant_time_eq;
