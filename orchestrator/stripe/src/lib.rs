//! Stripe as a payment rail: a thin client of the few calls that we need, over the guarded fetcher.
//!
//! Cards are typed in on Stripe's own page (Checkout in setup mode); what comes here is an id, a brand and four digits. Charges are
//! payment intents, confirmed off-session under our charge's id as the idempotency key. An order whose outcome is not known is looked up
//! by Stripe's own id, which is kept as soon as it is known, because Stripe forgets idempotency keys after a day.
//!
//! INVARIANT (no-card): no type of this crate has a field for a card number or its check digits.
//!
//! Source: Stripe's API reference (customers, Checkout sessions, payment intents, refunds, shared payment tokens, webhooks).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod amount;
mod client;
mod error;
mod form;
mod object;
mod rail;
mod store;
mod webhook;

pub use client::{Settings, Tokens};
pub use rail::{NAME, StripeRail};
pub use store::MIGRATIONS;
