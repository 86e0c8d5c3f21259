//! purser-server
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod console;
pub mod front;
pub mod oidc;
