//! A registry of domain names that speaks EPP (RFC 5730 to 5734) over TLS: what the sandbox registers names at, and what a registrar's
//! client can be tried against.
//!
//! A frame is parsed once into a bounded tree ([`xml`]), a [`session`] keeps who has signed in, and each command is one use case over
//! one write: what it changes, its answer under the client's transaction id, and the messages for others are committed together.
//! Grace periods and transfers end by the clock ([`lifecycle`]), never because somebody remembered to ask.
//!
//! INVARIANT (once): a command that changed something and is sent again under the same transaction id within a day is answered with the
//! first answer and changes nothing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod client;
mod code;
mod command;
pub mod config;
mod contact;
mod domain;
mod doors;
mod extension;
mod frame;
mod host;
mod lifecycle;
pub mod limits;
mod names;
mod poll;
pub mod rdap;
pub mod registry;
mod reply;
pub mod rules;
pub mod serve;
mod session;
pub mod store;
mod tls;
mod xml;
