//! slipway's accounts: who is a customer, which agent holds which token, what was ordered, and what is paid.
//!
//! Use cases are functions over a transaction, so that the caller decides what changes together: a charge's outcome, the
//! subscription that it pays for and the resource that becomes complete are one write. Nothing in here does I/O or talks of HTTP.
//!
//! INVARIANT (one-subject): an orchestrator reaches an account as the subject that is linked with it. Another subject with the same
//! e-mail address reaches nothing until the account's owner agrees in a browser.
//! INVARIANT (agent-cannot-widen): an API token can do what [`token::Permission`] lists and no more. There is no permission for
//! members or billing, and what a token makes can do no more than itself and lives no longer ([`token::tree`]).
//! INVARIANT (intent-first): a charge (and a refund) is recorded before the orchestrator is asked and its outcome after, under one idempotency key.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod agent;
pub mod audit;
pub mod charge;
pub mod limits;
pub mod link;
pub mod person;
pub mod provisioning;
pub mod quote;
pub mod realm;
pub mod refund;
pub mod resource;
pub mod service;
pub mod session;
pub mod sign_in;
pub mod store;
pub mod subscription;
pub mod suspension;
pub mod sweep;
pub mod token;
