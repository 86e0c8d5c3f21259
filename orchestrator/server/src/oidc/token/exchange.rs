//! The token exchange grant (RFC 8693): an agent lets a helper in, which gets its own tokens for its own key.

use axum::http::HeaderMap;
use purser_authority::{Attempt, Caller};
use purser_identity::Presented;
use purser_identity::parameters::Parameters;
use purser_identity::token::exchange::{ACCESS_TOKEN_TYPE, ActorToken, JWT_TYPE, Narrower};
use purser_provisioning::{Exchange, ExchangeError, perform, token_exchange};
use purser_values::error::PublicError as _;

use super::{Answer, PATH};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::proof;

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let Form { headers, parameters } = form;
    let given = given(front, &headers, &parameters)?;
    let realm = front.realm.clone();
    let attempt = Attempt::new("token_issue", &Caller::Anonymous, given.actor.key.thumbprint());
    let exchanged = perform(&front.core, attempt, move |tx| token_exchange(tx, &realm, &given)).await;
    let tokens = exchanged.map_err(refused)?;
    Ok(Answer { issued_token_type: Some(ACCESS_TOKEN_TYPE), ..tokens.into() })
}

fn given(front: &Front, headers: &HeaderMap, parameters: &Parameters) -> Result<Exchange, OAuthError> {
    let realm = &front.realm;
    let typed = |name: &'static str, types: &[&str]| match parameters.get(name) {
        Some(found) if types.contains(&found) => Ok(()),
        found => {
            let said = if found.is_some() { "is none that is taken" } else { "is missing" };
            Err(OAuthError::invalid_request(format!("`{name}` {said}: send `{}`", types.join("` or `"))))
        }
    };
    let missing = |name: &str| OAuthError::invalid_request(format!("`{name}` is missing"));
    let subject = parameters.secret("subject_token").ok_or_else(|| missing("subject_token"))?;
    typed("subject_token_type", &[ACCESS_TOKEN_TYPE])?;
    let actor = parameters.secret("actor_token").ok_or_else(|| missing("actor_token"))?;
    typed("actor_token_type", &[JWT_TYPE])?;
    if parameters.has("requested_token_type") {
        typed("requested_token_type", &[ACCESS_TOKEN_TYPE])?;
    }
    let is_elsewhere = |name: &str| parameters.get(name).is_some_and(|found| found != &*realm.issuer);
    if is_elsewhere("resource") || is_elsewhere("audience") {
        return Err(OAuthError::new("invalid_target", "the tokens are for this installation alone".to_owned()));
    }
    let details = parameters.get("authorization_details").ok_or_else(|| missing("authorization_details"))?;
    let scope = Narrower::read(details)?;
    let proof = proof::of(front, headers, PATH)?;
    let subject = Presented::with_proof(realm, subject.expose(), proof).map_err(|e| refused(e.into()))?;
    let actor = ActorToken::check(actor.expose(), &realm.issuer, realm.env.now())?;
    Ok(Exchange { subject, actor, scope })
}

/// The codes of RFC 8693, 2.2.2 and RFC 9396, 5; ours stands beside them and names the case.
fn refused(e: ExchangeError) -> OAuthError {
    let registered = match (&e, e.code()) {
        (_, "wider_than_parent" | "nothing_allowed") => Some("invalid_authorization_details"),
        (_, "invalid_token" | "grant_ended") => Some("invalid_request"),
        _ => None,
    };
    let answer = OAuthError::from(e);
    match registered {
        Some(error) => answer.registered_as(error),
        None => answer,
    }
}
