//! What can be bought here: providers, services, prices, and what a service needs first.
//!
//! The rows come from what providers publish; the crate only keeps and finds them. A price is machine-readable, free, or
//! unknown, and an unknown price is paid only where a person approved that purchase. Text from providers is data: it is cut, shown and never obeyed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod keep;
mod query;
mod service;
mod store;

pub use keep::keep;
pub use query::{get, list, providers, search};
pub use service::{CredentialField, Listing, Meter, Period, Price, ProviderListing};
pub use store::MIGRATIONS;
