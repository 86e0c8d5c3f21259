//! Where the domains meet: the one crate that opens writes for use cases and runs what outlives a request.
//!
//! Domains never import each other; facts cross here as arguments. [`perform`] is the one place that opens a write, runs a
//! use case, appends its events and enqueues its jobs.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agent_control;
mod consent;
mod core;
mod perform;
pub mod store;

pub use crate::core::Core;
pub use agent_control::{AGENT_CONTROL_JOB, AgentControlJob, agent_freeze, agent_thaw};
pub use consent::{ConsentDecision, GrantDecideError, consent_facts, grant_decide};
pub use perform::perform;
pub use store::MIGRATIONS;
