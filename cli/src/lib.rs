//! The `purser` command: what an agent types, what a person types, and the supervisor of one machine.
//!
//! A command is parsed twice: [`arguments`] says what was typed, [`operation`] what it means. Each command is one file in
//! [`command`] that returns a [`outcome::Success`] or a [`outcome::Failure`]; [`entry`] alone prints and exits, so that with
//! `--json` exactly one envelope reaches stdout whatever happens.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod arguments;
mod bars;
pub mod command;
pub mod context;
pub mod deploy;
pub mod entry;
pub mod files;
pub mod git;
pub mod home;
pub mod operation;
pub mod outcome;
pub mod project;
mod qr;
pub mod screen;
pub mod up;
pub mod usage;
pub mod variables;
