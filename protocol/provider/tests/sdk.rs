//! The SDK over real HTTP: by the orchestrator's client, and by the conformance tester, which must also see every planted fault.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "sdk/client.rs"]
mod client;
#[path = "sdk/conformance.rs"]
mod conformance;
#[path = "sdk/robust.rs"]
mod robust;
#[path = "sdk/shop.rs"]
mod shop;
#[allow(dead_code, reason = "an example is a program of its own")]
#[path = "../examples/tiny.rs"]
mod tiny;
