//! Who pays, how much at most, and what was paid.
//!
//! Use cases are functions over a transaction; they return [`purser_authority::Done`] and do no I/O. What they keep:
//!
//! - INVARIANT (sum-zero): the balances of all ledger accounts of one currency add up to zero.
//! - INVARIANT (cap): an agent's holds and captures at one provider in one calendar month (UTC), over all its grants, never
//!   exceed the cap. Lowering a cap below what is used leaves no room; it takes nothing back.
//! - INVARIANT (chain-pays): what an agent buys under a derived grant counts against every agent and grant above it too.
//! - INVARIANT (total): the purchases under a grant and those derived from it never exceed its total.
//! - INVARIANT (ceiling): nor do they exceed any ceiling that a person set over what they belong to ([`ceiling`]).
//! - INVARIANT (token-is-hold): what a payment token may still be charged is always a hold. A charge names one accepted line
//!   of the quote and is at most its amount; anything else is refused and recorded as a dispute.
//! - INVARIANT (refund-within-charge): what is given back of a charge, under way included, never exceeds the charge. It is the charging
//!   provider's to give, and its room is the room of the month in which it was charged.
//! - INVARIANT (agent-cannot-widen): caps and payment methods take permits that only persons can have.
//!
//! The order of a purchase: [`hold::place`], [`token::issue`], the provider's [`charge::begin`], the rail's capture outside
//! any write, [`charge::finish`]. What is undone comes back by [`refund::begin`] and [`refund::finish`]; [`refund::due`] names what does not. [`verify::check`] recomputes the invariants from the rows.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod alert;
mod book;
pub mod budget;
pub mod calendar;
pub mod cap;
pub mod ceiling;
pub mod charge;
pub mod chargeback;
pub mod credit;
pub mod freeze;
pub mod hold;
mod ledger;
pub mod limits;
pub mod method;
pub mod percent;
mod pot;
pub mod quote;
pub mod rail;
pub mod rate;
pub mod reconcile;
pub mod refund;
pub mod renewal;
pub mod report;
mod room;
pub mod seller;
mod share;
mod spender;
pub mod statement;
mod store;
pub mod token;
mod total;
mod under;
pub mod usage;
pub mod verify;
mod writes;

pub use percent::Percent;
pub use share::Share;
pub use spender::Spender;
pub use store::MIGRATIONS;
