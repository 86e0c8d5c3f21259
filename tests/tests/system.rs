//! The whole system as it ships: both programs, workerd, curl, a person on the pages and an agent with the command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "system/alone.rs"]
mod alone;
#[path = "system/approval.rs"]
mod approval;
#[path = "system/bad_input.rs"]
mod bad_input;
#[path = "system/billing.rs"]
mod billing;
#[path = "system/budget.rs"]
mod budget;
#[path = "system/cap.rs"]
mod cap;
#[path = "system/client_document.rs"]
mod client_document;
#[path = "system/confine.rs"]
mod confine;
#[path = "system/crash.rs"]
mod crash;
#[path = "system/credits.rs"]
mod credits;
#[path = "system/delegation.rs"]
mod delegation;
#[path = "system/ending.rs"]
mod ending;
#[path = "system/freeze.rs"]
mod freeze;
#[path = "system/full_disk.rs"]
mod full_disk;
#[path = "system/irreversible.rs"]
mod irreversible;
#[path = "system/keys.rs"]
mod keys;
#[path = "system/link_slipway.rs"]
mod link_slipway;
#[path = "system/linking.rs"]
mod linking;
#[path = "system/market.rs"]
mod market;
#[path = "system/ordering.rs"]
mod ordering;
#[path = "system/payment_token.rs"]
mod payment_token;
#[path = "system/plan_change.rs"]
mod plan_change;
#[path = "system/premium.rs"]
mod premium;
#[path = "system/prose_price.rs"]
mod prose_price;
#[path = "system/provider_faults.rs"]
mod provider_faults;
#[path = "system/refund.rs"]
mod refund;
#[path = "system/registrant.rs"]
mod registrant;
#[path = "system/repeats.rs"]
mod repeats;
#[path = "system/secrets.rs"]
mod secrets;
#[path = "system/stage.rs"]
mod stage;
#[path = "system/story.rs"]
mod story;
#[allow(dead_code, reason = "an example is a program of its own")]
#[path = "../../protocol/provider/examples/tiny.rs"]
mod tiny;
#[path = "system/wrangler.rs"]
mod wrangler;
