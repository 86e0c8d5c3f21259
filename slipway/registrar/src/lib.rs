//! Domains: asking for a price, registering, looking up, letting go.
//!
//! A [`registry::Registry`] is whoever keeps the names of a suffix: any registry that speaks EPP. The sandbox has one of its own, which
//! keeps `.test`. This crate keeps what an account holds and never talks of money that moves: the caller
//! charges what [`domain::quote`] said and hands the price in.
//!
//! INVARIANT (intent-first): a registration is recorded before the registry is asked and its outcome after, under one
//! transaction id that the registry knows again. A crash in between is finished by asking once more.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod contact;
pub mod domain;
pub mod registrar;
pub mod registry;
pub mod rehearsal;
pub mod store;
pub mod suggest;
