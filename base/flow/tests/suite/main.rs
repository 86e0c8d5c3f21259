//! Durable work on both real engines, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod sagas;
mod waiting;
