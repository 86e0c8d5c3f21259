//! Independent judges of the authorization server: certified clients, a conformance suite, and another server that is asked the
//! same questions. The person is played on the real pages of the real system.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "referees/bench.rs"]
mod bench;
#[path = "referees/clients.rs"]
mod clients;
#[path = "referees/differential.rs"]
mod differential;
#[path = "referees/mcp.rs"]
mod mcp;
#[path = "referees/pages.rs"]
mod pages;
#[path = "referees/webhooks.rs"]
mod webhooks;
