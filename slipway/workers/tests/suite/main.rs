//! Workers in real workerd, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod backend;
mod jail;
mod sleep;
mod support;
mod tenants;
mod workers;
