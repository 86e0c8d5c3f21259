//! Where the domains meet: the one crate that opens writes for use cases and runs what outlives a request.
//!
//! Domains never import each other; facts cross here as arguments. [`perform`] is the one place that opens a write, runs a
//! use case, appends its events and enqueues its jobs.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
pub mod account_link;
mod agent_control;
pub mod alerts;
mod app;
pub mod approval;
mod background;
mod catalogue;
pub mod charges;
pub mod client_logout;
mod consent;
mod core;
pub mod credits;
mod delegation;
pub mod deploy;
mod error;
mod exchange;
mod fault;
pub mod freeze;
pub mod gateway;
pub mod link;
mod member_control;
mod notice;
pub mod payment_setup;
mod perform;
pub mod provider_events;
pub mod rail_events;
pub mod refunds;
pub mod resource;
mod seller_token;
mod signing_keys;
mod sso;
pub mod status;
pub mod store;
mod till;
pub mod trace;
pub mod usage;
pub mod variables;
pub mod visible;
pub mod webhook;
mod workload;

pub use crate::core::Core;
pub use agent_control::{AGENT_CONTROL_JOB, AgentControlJob, agent_freeze, agent_thaw, grant_end, grant_revoke};
pub use app::App;
pub use background::{housekeeping, jobs, keep_house, reconcile, sagas};
pub use consent::{ConsentDecision, GrantDecideError, consent_facts, grant_decide};
pub use delegation::{DelegateError, agent_delegate};
pub use error::{OpError, PayError};
pub use exchange::{Exchange, ExchangeError, token_exchange};
pub use gateway::{Configured, Gateway};
pub use member_control::{OffBoarded, member_leave, member_remove, member_role_set, organisation_disable, person_disable};
pub use perform::{perform, perform_beside};
pub use signing_keys::follow_keys;
pub use sso::{SsoProven, sso_forget, sso_prove, sso_sign_in};
pub use store::MIGRATIONS;
pub use workload::{WorkloadError, workload_exchange};
