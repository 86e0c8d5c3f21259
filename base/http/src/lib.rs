//! HTTP as the house speaks it: problem documents, extractors with limits, request ids, security headers, the guarded fetcher through
//! which every request to an address that somebody else chose must go, and the log that a server writes meanwhile.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod around;
pub mod crowd;
pub mod extract;
pub mod fetch;
pub mod harden;
pub mod listen;
pub mod log;
pub mod misfit;
pub mod peer;
pub mod places;
pub mod problem;
pub mod routes;

pub use fetch::{FetchError, FetchLimits, Fetched, Fetcher, Origin};
pub use problem::Problem;
