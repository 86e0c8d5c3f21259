//! Tokens: short-lived access tokens (JWT, RFC 9068) bound to a key (DPoP, RFC 9449), and rotating refresh tokens.

mod access;
mod client_credentials;
mod code;
mod device_sign_on;
pub mod dpop;
pub mod exchange;
mod id_token;
mod introspect;
mod issue;
mod known;
pub mod nonce;
mod refresh;
mod revoke;
mod sign_on;
mod sign_on_refresh;

pub use access::{AccessClaims, Actor, Confirmation, Prior};
pub(crate) use access::{TYPE as ACCESS_TYPE, agent_access, person_access};
pub use client_credentials::{ClientClaims, ClientToken, ClientTokenError, client_token};
pub use code::{CodeError, CodeUse, CodeUsed, token_issue_by_code};
pub use device_sign_on::{DeviceSignOnError, DeviceUse, device_sign_on_poll, token_issue_by_device};
pub use id_token::{IdClaims, id_token_hint, logout_token};
pub use introspect::{INTROSPECT, token_introspect};
pub use issue::{DevicePoll, Renewal, TokenIssueError, device_poll, token_issue};
pub use known::SignedToken;
pub(crate) use known::is_revoked;
pub use refresh::{RefreshError, Refreshed, token_refresh};
pub use revoke::{Holder, TokenRevokeError, token_revoke};
pub use sign_on::{PresentedSignOn, REFRESH as SIGN_ON_REFRESH, SignOnClaims, SignOnTokenError, SignOnTokens, person_of};
pub use sign_on_refresh::{SignOnRefresh, SignOnRefreshError, SignOnRefreshed, sign_on_refresh};

use purser_authority::GrantScope;
use purser_values::Secret;
use purser_values::id::{AgentId, GrantId};

use crate::grant_request::Change;

/// What the token endpoint hands out.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: Secret<String>,
    pub expires_in_s: i64,
    /// Agents only: a person's terminal token ends after its ten minutes.
    pub agent: Option<AgentTokens>,
}

#[derive(Debug)]
pub struct AgentTokens {
    /// A workload gets none: it comes again with its own identity.
    pub refresh_token: Option<Secret<String>>,
    pub grant: GrantId,
    pub agent: AgentId,
    /// What the grant allows.
    pub scope: GrantScope,
    /// How that differs from what was asked for; told with the first tokens.
    pub changed: Vec<Change>,
}
