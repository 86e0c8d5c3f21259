#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! Values that every room of the house shares: typed ids, time, money, names, secrets and limits.
//!
//! Nothing in here knows of provisioning, of databases or of HTTP. A value that exists is valid:
//! parsing is the only way in, so that the rest of the code trusts the type.

pub mod digest;
pub mod env;
pub mod error;
pub mod id;
pub mod limits;
pub mod money;
pub mod name;
pub mod secret;
pub mod timestamp;

pub use digest::Sha256Digest;
pub use env::Env;
pub use money::{Currency, Money};
pub use secret::Secret;
pub use timestamp::{Month, Timestamp};
