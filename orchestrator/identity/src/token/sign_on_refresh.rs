//! `token_issue` by the refresh token of a sign-on: each works once; a second use ends the sign-on, because a copy exists.

use purser_authority::action::TokenIssue;
use purser_authority::{Caller, Done, Event, Outcome, Permit};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::SignOnId;
use purser_values::{Secret, Timestamp};
use serde_json::json;

use super::dpop::{Proof, ProofError};
use super::sign_on::{REFRESH, SignOnTokenError, SignOnTokens, issue};
use crate::authorization::sign_on;
use crate::client::assertion::{Assertion, AssertionError};
use crate::client::{Client, GrantType};
use crate::person;
use crate::realm::Realm;
use crate::scope::Scope;

#[derive(Debug, thiserror::Error)]
pub enum SignOnRefreshError {
    #[error("the refresh token is not valid for this client or key")]
    InvalidGrant,
    #[error("the scope is wider than what the person allowed")]
    Scope,
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Token(#[from] SignOnTokenError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for SignOnRefreshError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::Scope => "invalid_scope",
            Self::Assertion(e) => e.code(),
            Self::Token(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidGrant | Self::Scope => Kind::Invalid,
            Self::Assertion(e) => e.kind(),
            Self::Token(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidGrant => Some("send the person to the authorization endpoint again".to_owned()),
            Self::Proof(e) => e.hint(),
            _ => None,
        }
    }
}

/// What comes with the token, besides the client, which is authenticated already.
#[derive(Clone, Debug)]
pub struct SignOnRefresh {
    pub refresh_token: Secret<String>,
    pub scope: Option<Scope>,
    pub proof: Option<Proof>,
    pub assertion: Option<Assertion>,
}

/// A reuse is an outcome and not an error: the end of the sign-on is written.
#[derive(Debug)]
pub enum SignOnRefreshed {
    Issued(SignOnTokens),
    Reused,
}

/// Rotates the refresh token.
///
/// # Errors
/// See [`SignOnRefreshError`].
pub fn sign_on_refresh(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TokenIssue>,
    client: &Client,
    given: &SignOnRefresh,
) -> Result<Done<SignOnRefreshed>, SignOnRefreshError> {
    if let Some(assertion) = &given.assertion {
        assertion.consume(tx)?;
    }
    if let Some(proof) = &given.proof {
        proof.consume(tx)?;
    }
    if !client.may(GrantType::RefreshToken) || !token::is_well_formed(given.refresh_token.expose(), REFRESH) {
        return Err(SignOnRefreshError::InvalidGrant);
    }
    let (now, digest) = (realm.env.now(), token::hash(given.refresh_token.expose()));
    let select = "select sign_on, expires_at from sign_on_refresh where token_hash = $1";
    let row = tx.query_opt(select, params![digest])?.ok_or(SignOnRefreshError::InvalidGrant)?;
    let found = sign_on::find(tx, &row.parse::<SignOnId>("sign_on")?)?.filter(|s| s.client == client.id && s.is_alive(now));
    let found = found.ok_or(SignOnRefreshError::InvalidGrant)?;
    // Without the key, a copy of a bound token is worth nothing, not even to end the sign-on.
    if found.jkt.is_some() && given.proof.as_ref().map(Proof::jkt) != found.jkt.as_deref() {
        return Err(SignOnRefreshError::InvalidGrant);
    }
    let member = person::member(tx, &found.organisation, &found.person)?.ok_or(SignOnRefreshError::InvalidGrant)?;
    let caller =
        Caller::Person { person: found.person.clone(), organisation: found.organisation.clone(), role: member.role, present_at: None };
    let take = "update sign_on_refresh set used_at = $2 where token_hash = $1 and used_at is null";
    if tx.execute(take, params![digest, now])? == 0 {
        sign_on::end(tx, now, &found.id, "a refresh token was used twice")?;
        let refused = Outcome::Refused("refresh_token_reused".to_owned());
        let event = Event::new(permit.verb(), refused, &caller, found.id.as_str()).related([client.id.as_str()]);
        return Ok(Done::with_event(SignOnRefreshed::Reused, event));
    }
    if row.get::<Timestamp>("expires_at")? <= now {
        return Err(SignOnRefreshError::InvalidGrant);
    }
    let scope = given.scope.clone().unwrap_or_else(|| found.facts.scope.clone());
    if !scope.is_within(&found.facts.scope) {
        return Err(SignOnRefreshError::Scope);
    }
    let issued = issue(tx, realm, client, &found, scope, None)?;
    let event = Event::done(permit.verb(), &caller, found.id.as_str())
        .related([client.id.as_str()])
        .with(json!({ "client": client.id, "scope": issued.scope }));
    Ok(Done::with_event(SignOnRefreshed::Issued(issued), event))
}
