//! slipway's billing against the orchestrator's own ledger: both sides are real, only the wire between them is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../orchestrator/spend/tests/suite/world/mod.rs"]
mod world;

#[path = "billing/crash.rs"]
mod crash;
#[path = "billing/credits.rs"]
mod credits;
#[path = "billing/credits_once.rs"]
mod credits_once;
#[path = "billing/history.rs"]
mod history;
#[path = "billing/month.rs"]
mod month;
#[path = "billing/shop.rs"]
mod shop;
#[path = "billing/stages.rs"]
mod stages;
#[path = "billing/usage.rs"]
mod usage;
