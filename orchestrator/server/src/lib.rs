//! The orchestrator's surfaces: the API for agents and providers, the OAuth endpoints, the pages for persons, and how they are
//! put together. Surfaces are thin: what decides is in the domains.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod backup;
pub mod config;
pub mod console;
pub mod front;
mod membership;
pub mod oidc;
pub mod operator;
pub mod ops;
pub mod peer;
mod serve;
pub mod sso;
mod statement_csv;
pub mod unknown;

pub use config::Config;
pub use serve::{ServeError, TABLES, serve, surface};
