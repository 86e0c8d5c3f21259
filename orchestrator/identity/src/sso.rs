//! Sign-in through a company's own OpenID provider (OpenID Connect Core 1.0, authorization code flow).
//!
//! INVARIANT (subject-not-address): who somebody is comes from the issuer and its subject. The address that the company vouches for
//! leads to a login once, at the first sign-in, and only when it is verified and at a domain of that company; a login that has
//! a passkey or an app is connected by whoever has those, and by nobody else.
//! INVARIANT (company-domain): where the operator says that a company signs a domain's people in, nothing else does: no mailed code,
//! no passkey, no change of address, no recovery and no session from before.
//! INVARIANT (one-answer): an answer of a company is taken once, within ten minutes, in the browser that asked for it, from the
//! issuer that was asked, and with the nonce and verifier of that one request. Both follow from the state, so that neither is
//! stored.
//!
//! This module judges what a company said; how it is asked is the server's.

mod attempt;
mod connection;
mod error;
mod groups;
mod identity;
mod logout;
mod prove;
mod release;
mod sign_in;
mod statement;
mod step_up;

pub use attempt::{Begin, Begun, Purpose, Returned, sso_begin, sso_return};
pub use connection::{Connection, Connections, RoleRule, SsoRequired};
pub use error::SsoError;
pub use identity::{Identity, confirming, identities_list, sso_link, sso_unlink};
pub use logout::{LogoutStatement, sso_logout};
pub use prove::{Pending, Proof, Proven, pending_methods, pending_open, pending_options, pending_seal, sso_prove};
pub use release::{Recycled, sso_forget};
pub use sign_in::{Let, Lost, SsoSignIn, sso_sign_in};
pub use statement::{Expected, Statement, Vouched};
pub use step_up::sso_step_up;

use purser_values::Timestamp;
use purser_values::name::ConnectionName;
use serde::{Deserialize, Serialize};

/// What a session keeps of a sign-in through a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsoFacts {
    pub connection: ConnectionName,
    /// Whose account there it was, and in which session there, as far as the company says. Absent in sessions from before.
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(default)]
    pub sid: Option<String>,
    /// When the person proved to the company who they are, if it says.
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    #[serde(default)]
    pub amr: Vec<String>,
}
