//! Who calls the API: a token of one account, verified on every call.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use purser_db::{DbError, Tx};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Secret};
use slipway_accounts::account::Account;
use slipway_accounts::token::verify::{Presented, token_stands, token_verify};
use slipway_accounts::token::{ApiToken, Permission};
use slipway_stores::{StoreError, Stores};
use slipway_workers::tenant::Environment;
use slipway_workers::view::Author;
use slipway_workers::{Condition, Workers, WorkersError};

use super::envelope::Failure;
use crate::abuse::judge::Party;
use crate::cloud::{Cloud, Shared};

/// A valid token and its account.
#[derive(Clone, Debug)]
pub struct Caller {
    pub token: ApiToken,
    pub account: Account,
    /// Which client it says it is: `wrangler` or `api`.
    source: &'static str,
    /// The clock by which the token ends.
    env: Env,
    /// The token itself, when the call changes something.
    again: Option<Secret<String>>,
}

impl Caller {
    /// The caller's account, when it is the one in the path and the token may do this. Handlers call it next to the effect: for a change
    /// the token is looked up once more, because whoever sends a body slowly can have been stopped since the first look.
    ///
    /// # Errors
    /// When the path names another account, or the token lacks the permission or does not work any more.
    pub async fn within(&self, cloud: &Cloud, account: &str, permission: Permission) -> Result<&CloudAccountId, Failure> {
        if account != self.account.hex.as_str() {
            return Err(Failure::foreign());
        }
        self.allowed(permission)?;
        if let Some(token) = &self.again {
            let (token, now) = (token.clone(), cloud.env.now());
            match cloud.db.read(move |tx| token_verify(tx, token.expose(), now)).await? {
                Presented::Valid { .. } => {}
                Presented::Stopped { .. } => return Err(Failure::stopped()),
                Presented::Expired { .. } | Presented::Unknown => return Err(Failure::unauthenticated()),
            }
        }
        Ok(&self.account.id)
    }

    /// # Errors
    /// When the token lacks the permission.
    pub fn allowed(&self, permission: Permission) -> Result<(), Failure> {
        if self.token.permissions.contains(permission) { Ok(()) } else { Err(Failure::unauthorised(permission.as_str())) }
    }

    /// The runtime for this caller's changes: each is refused when the token was stopped, or its account frozen, since the request
    /// began. Everything that changes anything goes through it. A new Worker belongs to the environment for which the token was ordered.
    pub fn workers(&self, cloud: &Shared) -> Workers {
        cloud.workers.only_while(self.standing()).making_in(Environment::called(self.token.environment.as_deref()))
    }

    /// The stores for this caller's changes, on the same condition.
    pub fn stores(&self, cloud: &Shared) -> Stores {
        let (token, env) = (self.token.id.clone(), self.env.clone());
        cloud.stores.only_while(Arc::new(move |tx| if token_stands(tx, &token, env.now())? { Ok(()) } else { Err(StoreError::Stopped) }))
    }

    /// The condition of [`Caller::workers`].
    pub fn standing(&self) -> Condition {
        standing(self.token.id.clone(), self.env.clone())
    }

    /// The same for domains: whether the token works at the moment of the change.
    pub fn stands(&self) -> impl Fn(&mut Tx<'_>) -> Result<bool, DbError> + Send + 'static {
        let (token, env) = (self.token.id.clone(), self.env.clone());
        move |tx| token_stands(tx, &token, env.now())
    }

    /// For whom names and code are judged.
    #[must_use]
    pub const fn party(&self) -> Party<'_> {
        Party { account: &self.account.id, resource: Some(&self.token.resource) }
    }

    /// How versions and deployments name the caller. The id is the resource whose token was used: by it a deployment is traced to
    /// its agent, and a removal finds what was deployed with it.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { source: self.source.to_owned(), id: self.token.resource.to_string(), email: Some(self.account.email.to_string()) }
    }
}

/// That a token still works, to be asked in the transaction of a change.
pub fn standing(token: String, env: Env) -> Condition {
    Arc::new(move |tx| if token_stands(tx, &token, env.now())? { Ok(()) } else { Err(WorkersError::Stopped) })
}

/// The presented token, whatever it is worth.
///
/// # Errors
/// When the store fails.
pub async fn present(cloud: &Shared, headers: &HeaderMap) -> Result<Presented, Failure> {
    let Some(token) = bearer(headers) else { return Ok(Presented::Unknown) };
    let now = cloud.env.now();
    Ok(cloud.db.read(move |tx| token_verify(tx, token.expose(), now)).await?)
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, cloud: &Shared) -> Result<Self, Failure> {
        match present(cloud, &parts.headers).await? {
            Presented::Valid { token, account } => {
                // a call that changes something was counted before it was written down
                let again = if parts.method.is_safe() {
                    cloud.throttle.pass(&token, cloud.env.now())?;
                    None
                } else {
                    bearer(&parts.headers)
                };
                Ok(Self { token, account, source: source(parts), env: cloud.env.clone(), again })
            }
            Presented::Stopped { .. } => Err(Failure::stopped()),
            Presented::Expired { .. } | Presented::Unknown => Err(Failure::unauthenticated()),
        }
    }
}

/// The text after `Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim().to_owned()))
}

fn source(parts: &Parts) -> &'static str {
    let agent = parts.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if agent.starts_with("wrangler/") { "wrangler" } else { "api" }
}
