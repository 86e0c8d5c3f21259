//! The real programs that Purser runs on or is tested against, brought in pinned and checked.
//!
//! workerd belongs to the product; wrangler, its Node 22 and PostgreSQL are for tests only.

mod npm;
pub mod postgres;
mod python;
mod workerd;
mod wrangler;

use std::path::PathBuf;

use crate::fail::Outcome;
use crate::house::House;

/// The runtime that slipway runs code on: the path of a binary that was seen to start.
pub fn workerd(house: &House) -> Outcome<PathBuf> {
    workerd::install(house)
}

/// The two unmodified clients, each as one command.
pub fn wranglers(house: &House) -> Outcome<wrangler::Wranglers> {
    wrangler::install(house)
}

/// A mail server of somebody else's: the folder for its `PYTHONPATH`.
pub fn mail_server(house: &House) -> Outcome<PathBuf> {
    python::install(house, "mail")
}
