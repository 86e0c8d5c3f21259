//! The store on both real engines, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod encrypted;
mod engines;
mod jobs;
mod leases;
mod migrations;
