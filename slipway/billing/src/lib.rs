//! How slipway's customers pay: periods, renewals, changes of plan, metered use, invoices and credit notes.
//!
//! Use cases are functions over a transaction; [`driver::Billing`] is the one place that talks to the orchestrator, between two writes. What
//! the money buys (the plan that an account has) is in `slipway_accounts`; here is when it is due, what it costs to the second, and
//! what happens when it does not come.
//!
//! INVARIANT (intent-first): a charge, a block of use or a refund is written down before the orchestrator is asked, and its outcome after,
//! under one key. A period is charged once however often a process dies.
//! INVARIANT (invoice-is-money): the lines of an invoice add up to what was captured for it, those of a credit note to what was given back.
//! Both are written with the outcome, numbered without gaps, and never changed.
//! INVARIANT (credit-once, credit-sum-zero, credit-stays-credit): see [`credit`].
//! INVARIANT (use-is-held): use beyond what a period includes is charged from blocks that the orchestrator set aside before.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod charge;
pub mod credit;
pub mod driver;
pub mod invoice;
pub mod limits;
pub mod period;
pub mod price;
pub mod proration;
pub mod refund;
pub mod request_log;
pub mod store;
pub mod subscription;
pub mod till;
pub mod usage;

mod notice;
