//! The client credentials grant (RFC 6749, 4.4). It writes only what must count once: a proof or an assertion.

use purser_authority::Done;
use purser_db::DbError;
use purser_identity::authorization::resource_of;
use purser_identity::client::assertion::{Assertion, AssertionError};
use purser_identity::token::client_token;
use purser_identity::token::dpop::{Proof, ProofError};
use purser_values::error::{Kind, PublicError};

use super::{Answer, PATH, demanded, token_type};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::{client_auth, proof};

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let Form { headers, parameters } = form;
    let authenticated = client_auth::required(front, &headers, &parameters, PATH).await?;
    let client = &authenticated.client;
    let proof = demanded(proof::optional(front, &headers, PATH)?, client.metadata.dpop_bound_access_tokens)?;
    let scope = parameters.parsed("scope").map_err(|e| OAuthError::new("invalid_scope", e.to_string()))?;
    let audience = resource_of(&parameters, &front.resources())?;
    let issued = client_token(&front.realm, client, scope, audience, proof.as_ref().map(Proof::jkt))?;
    let bound = proof.is_some();
    take(front, authenticated.assertion, proof).await?;
    Ok(Answer {
        access_token: issued.access_token.expose().clone(),
        token_type: token_type(bound),
        issued_token_type: None,
        expires_in: issued.expires_in_s,
        refresh_token: None,
        id_token: None,
        scope: Some(issued.scope.to_string()).filter(|scope| !scope.is_empty()),
        grant_id: None,
        agent_id: None,
        authorization_details: None,
        changed: Vec::new(),
    })
}

/// Takes what counts once, if there is anything.
pub(super) async fn take(front: &Front, assertion: Option<Assertion>, proof: Option<Proof>) -> Result<(), TakeError> {
    if assertion.is_none() && proof.is_none() {
        return Ok(());
    }
    let work = move |tx: &mut purser_db::Tx<'_>| -> Result<Done<()>, TakeError> {
        if let Some(assertion) = &assertion {
            assertion.consume(tx)?;
        }
        if let Some(proof) = &proof {
            proof.consume(tx)?;
        }
        Ok(Done::quiet(()))
    };
    front.core.db.write(work).await.map(|done| done.value)
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for TakeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Assertion(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Assertion(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Proof(e) => e.hint(),
            Self::Assertion(_) | Self::Db(_) => None,
        }
    }
}
