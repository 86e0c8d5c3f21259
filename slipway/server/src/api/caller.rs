//! Who calls the API: a token of one account, verified on every call.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use purser_values::id::CloudAccountId;
use slipway_accounts::account::Account;
use slipway_accounts::token::verify::{Presented, token_verify};
use slipway_accounts::token::{ApiToken, Permission};
use slipway_workers::view::Author;

use super::envelope::Failure;
use crate::cloud::Shared;

/// A valid token and its account.
#[derive(Clone, Debug)]
pub struct Caller {
    pub token: ApiToken,
    pub account: Account,
    /// Which client it says it is: `wrangler` or `api`.
    source: &'static str,
}

impl Caller {
    /// The caller's account, when it is the one in the path and the token may do this.
    ///
    /// # Errors
    /// When the path names another account, or the token lacks the permission.
    pub fn within(&self, account: &str, permission: Permission) -> Result<&CloudAccountId, Failure> {
        if account != self.account.hex.as_str() {
            return Err(Failure::foreign());
        }
        self.allowed(permission)?;
        Ok(&self.account.id)
    }

    /// # Errors
    /// When the token lacks the permission.
    pub fn allowed(&self, permission: Permission) -> Result<(), Failure> {
        if self.token.permissions.contains(permission) { Ok(()) } else { Err(Failure::unauthorised(permission.as_str())) }
    }

    /// How versions and deployments name the caller. The id is the resource whose token was used: by it a deployment is traced to
    /// its agent, and a removal finds what was deployed with it.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { source: self.source.to_owned(), id: self.token.resource.to_string(), email: Some(self.account.email.to_string()) }
    }
}

/// The presented token, whatever it is worth.
///
/// # Errors
/// When the store fails.
pub async fn present(cloud: &Shared, parts: &Parts) -> Result<Presented, Failure> {
    let Some(token) = bearer(parts) else { return Ok(Presented::Unknown) };
    Ok(cloud.db.read(move |tx| token_verify(tx, &token)).await?)
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, cloud: &Shared) -> Result<Self, Failure> {
        match present(cloud, parts).await? {
            Presented::Valid { token, account } => Ok(Self { token, account, source: source(parts) }),
            Presented::Stopped { .. } => Err(Failure::stopped()),
            Presented::Unknown => Err(Failure::unauthenticated()),
        }
    }
}

/// The text after `Bearer`.
pub fn bearer(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn source(parts: &Parts) -> &'static str {
    let agent = parts.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if agent.starts_with("wrangler/") { "wrangler" } else { "api" }
}
