//! Tokens: short-lived access tokens (JWT, RFC 9068) bound to a key (DPoP, RFC 9449), and rotating refresh tokens.

mod access;
pub mod dpop;
mod issue;
mod refresh;

pub use access::{AccessClaims, Actor, Confirmation};
pub(crate) use access::{TYPE as ACCESS_TYPE, agent_access, person_access};
pub use issue::{DevicePoll, TokenIssueError, device_poll, token_issue};
pub use refresh::{RefreshError, Refreshed, token_refresh};

use purser_values::Secret;
use purser_values::id::{AgentId, GrantId};

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
    pub refresh_token: Secret<String>,
    pub grant: GrantId,
    pub agent: AgentId,
}
