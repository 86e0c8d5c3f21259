//! Identity over both real engines, in one program: each more would be linked with both again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod approval;
mod engines;
mod keys;
mod organisations;
mod security;
mod sso;
