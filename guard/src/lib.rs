#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! Detectors without I/O: names that resemble others' names, content that asks for what is not its business, and
//! acts that come too fast.
//!
//! Both sides use it: a provider before it registers a name or serves a first byte, an orchestrator before it lets an
//! agent buy one. A detector is a pure function of what it is given: no clock, no network, no table. It never decides
//! alone what happens to a customer; it answers a [`Verdict`] that says pass, hold for a person's review, or refuse,
//! and always why. How good each one is stands in `docs/abuse.md`, measured.

pub mod content;
mod hash;
pub mod mail;
pub mod names;
pub mod velocity;
mod verdict;

pub use content::{Content, File, Fingerprint, Site, TakenDown};
pub use names::{Context, Kind, Names};
pub use velocity::Velocity;
pub use verdict::{Action, Reason, Score, Sign, Verdict};
