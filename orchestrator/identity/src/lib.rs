//! Who may act for whom: persons and their organisations, sign-in and sessions, agents and their keys, the grants that bind
//! the two, the terms that were accepted, and the tokens that follow.
//!
//! The crate holds state machines and their tables. It knows of OAuth's rules (RFC 8628, 9449, 9068) and nothing of HTTP.
//! Each use case is one file; it takes a [`purser_authority::Permit`] and returns a [`purser_authority::Done`].
//!
//! INVARIANT (agent-cannot-widen): only a person's decision makes a grant, and it can only narrow what was asked for, except
//! for the cap, which is the person's own to set.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod address;
pub mod agent;
pub mod approval;
mod audience;
pub mod authorization;
pub mod bootstrap;
pub mod client;
pub mod consent;
pub mod context;
pub mod email_change;
pub mod grant;
pub mod grant_request;
pub mod invitation;
pub mod keys;
pub mod limits;
mod mailed_code;
pub mod names;
pub mod organisation;
pub mod parameters;
pub mod passkey;
pub mod person;
pub mod realm;
pub mod recovery;
mod schema;
pub mod scope;
mod security_link;
pub mod session;
pub mod sign_in;
mod sign_up;
pub mod sso;
pub mod step_up;
mod sweep;
pub mod terms;
pub mod token;
pub mod totp;
mod visible;
pub mod whoami;
pub mod workload;

pub use context::{CallContext, CallerError, Presented, caller_of, standing};
pub use keys::Keys;
pub use realm::{NonceRule, Realm, SignUp};
pub use schema::MIGRATIONS;
pub use security_link::{LinkError, Undoable, Undone, security_link_of, security_undo};
pub use sign_up::Ticket;
pub use sweep::sweep;
