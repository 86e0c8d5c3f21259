//! slipway's surfaces and composition: the provider of the Agentic Provisioning Protocol, the Cloudflare-compatible API, a front page,
//! and the order in which everything starts.
//!
//! Handlers are thin; what an order, a domain or a deployment needs from several rooms is joined here and nowhere else.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod abuse;
pub mod api;
pub mod backend;
pub mod billing;
pub mod certificates;
pub mod cloud;
pub mod config;
pub mod keys;
pub mod pages;
pub mod parents;
pub mod provider;
mod rdap;
pub mod registry;
pub mod serve;

mod allowances;
mod calls;
mod deliver;
mod domain;
mod endpoints;
mod events;
mod host;
mod housekeeping;
mod refunds;
mod release;
mod unknown;
mod whole;
