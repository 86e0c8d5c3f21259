//! Who may act: the one crate that every domain of the orchestrator imports.
//!
//! No SQL and no HTTP in here. A [`Caller`] is who asks; an [`Action`] is what can be asked for; [`authorise`] is the only
//! place that mints a [`Permit`], which carries what it is for and is consumed next to the effect. [`Event`]s say what
//! happened, and a use case returns them with its value as [`Done`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod action;
mod approved;
mod caller;
mod denied;
mod done;
mod event;
mod grant_scope;
mod permit;
mod reach;

pub use action::{Action, Rule};
pub use approved::Approved;
pub use caller::{Caller, Delegator, Role};
pub use denied::Denied;
pub use done::{Attempt, Done};
pub use event::{Event, Outcome};
pub use grant_scope::GrantScope;
pub use permit::{Facts, Permit, STEP_UP_S, authorise};
pub use reach::Reach;
