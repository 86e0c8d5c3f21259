//! Money as it really moves: cards that want their person or dispute later, a processor that somebody else wrote, payment tokens in the
//! wrong hands, and the proof that no card number is anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "the system's suite uses the rest")]
#[path = "system/alone.rs"]
mod alone;
#[path = "money/cards.rs"]
mod cards;
#[path = "money/front.rs"]
mod front;
#[allow(dead_code, reason = "the system's suite uses the rest")]
#[path = "system/market.rs"]
mod market;
#[path = "money/misuse.rs"]
mod misuse;
#[path = "money/stripe.rs"]
mod stripe;
#[allow(dead_code, reason = "an example is a program of its own")]
#[path = "../../protocol/provider/examples/tiny.rs"]
mod tiny;
