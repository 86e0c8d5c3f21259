//! Independent judges of our zones, in a network of their own: a validating resolver that starts at a private root, two tools that check
//! signatures, and two other name servers that take whole zones.
//!
//! The programs are in the folder `PURSER_DNS_PEERS`; where it is not given, or without the right to make a network, nothing is tested.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "referees/chain.rs"]
mod chain;
#[path = "referees/secondaries.rs"]
mod secondaries;
#[path = "referees/support.rs"]
mod support;
#[path = "referees/tools.rs"]
mod tools;
