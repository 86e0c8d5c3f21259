//! The money side over both real engines. One program for all of them: each more would be linked with both engines again.
//! The model test is its own, because it is run long and optimised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod budgets;
mod ceilings;
mod charges;
mod credits;
mod holds;
mod races;
mod rails;
mod rates;
mod reconcile;
mod refunds;
mod renewals;
mod reports;
mod sellers;
mod usage;
mod world;
