//! The `purser` command as it is typed: the real binary, an orchestrator of a few lines, and what reaches stdout, the exit code
//! and the files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cli/agent.rs"]
mod agent;
#[path = "cli/deploy.rs"]
mod deploy;
#[path = "cli/envelope.rs"]
mod envelope;
#[path = "cli/exit_codes.rs"]
mod exit_codes;
#[path = "cli/login.rs"]
mod login;
#[path = "cli/money.rs"]
mod money;
#[path = "cli/person.rs"]
mod person;
#[path = "cli/support.rs"]
mod support;
#[path = "cli/transcripts.rs"]
mod transcripts;
#[path = "cli/up.rs"]
mod up;
#[path = "cli/variables.rs"]
mod variables;
