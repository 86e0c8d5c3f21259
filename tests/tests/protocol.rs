//! The protocol over real HTTP, both sides on our own crates: the provider SDK is driven by the orchestrator's client and by the
//! conformance tester, which must see every planted fault too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "protocol/client.rs"]
mod client;
#[path = "protocol/conformance.rs"]
mod conformance;
#[path = "protocol/dialects.rs"]
mod dialects;
#[path = "protocol/robust.rs"]
mod robust;
#[path = "protocol/shop.rs"]
mod shop;
#[allow(dead_code, reason = "an example is a program of its own")]
#[path = "../../protocol/provider/examples/tiny.rs"]
mod tiny;
