//! slipway as its customers meet it: the provider's side of the protocol, the Cloudflare-compatible API, and what outlives a restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "slipway/abuse.rs"]
mod abuse;
#[path = "slipway/api.rs"]
mod api;
#[path = "slipway/billing.rs"]
mod billing;
#[path = "slipway/certificates.rs"]
mod certificates;
#[path = "slipway/clients.rs"]
mod clients;
#[path = "slipway/conformance.rs"]
mod conformance;
#[path = "slipway/credits.rs"]
mod credits;
#[path = "slipway/dns_records.rs"]
mod dns_records;
#[path = "slipway/hangup.rs"]
mod hangup;
#[path = "slipway/judges.rs"]
mod judges;
#[path = "slipway/linking.rs"]
mod linking;
#[path = "slipway/objects.rs"]
mod objects;
#[path = "slipway/orders.rs"]
mod orders;
#[path = "slipway/pace.rs"]
mod pace;
#[path = "slipway/refunds.rs"]
mod refunds;
#[path = "slipway/registrar.rs"]
mod registrar;
#[path = "slipway/restart.rs"]
mod restart;
#[path = "slipway/slow.rs"]
mod slow;
#[path = "slipway/support.rs"]
mod support;
#[path = "slipway/takeover.rs"]
mod takeover;
#[path = "slipway/who_may.rs"]
mod who_may;
