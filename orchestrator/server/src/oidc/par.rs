//! `POST /oauth/par` (RFC 9126): a client hands in what it will send the person with.
//!
//! A request for an agent's grant comes this way only: with it comes the DPoP proof of the agent's key, which the person is shown.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use purser_authority::action::AuthorizationRequest;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::authorization::{self, Asked, AskedGrant, BeginError, Refusal, authorization_push, redirect_of};
use purser_identity::token::dpop::Proof;
use purser_provisioning::perform;
use serde_json::{Value, json};

use super::error::OAuthError;
use super::form::Form;
use super::{asked, client_auth, proof};
use crate::front::Front;
use crate::peer::Peer;

const PATH: &str = "/oauth/par";

pub async fn post(State(front): State<Front>, Peer(peer): Peer, form: Form) -> Result<(StatusCode, Json<Value>), OAuthError> {
    let Form { headers, parameters } = form;
    let authenticated = client_auth::required(&front, &headers, &parameters, PATH).await?;
    let client = &authenticated.client;
    if parameters.has("request_uri") {
        return Err(OAuthError::invalid_request("a pushed request does not refer to another"));
    }
    let redirect_uri = redirect_of(&parameters, client).map_err(|e| OAuthError::invalid_request(e.to_string()))?;
    let proof = proof::optional(&front, &headers, PATH)?;
    let grant = match parameters.get("authorization_details") {
        Some(text) => Some(grant(&front, text, client.name(), proof.as_ref()).await?),
        None => None,
    };
    let mut asked = Asked::read(&parameters, client, redirect_uri, grant, &front.resources())?;
    bind(&mut asked, proof.as_ref())?;
    let realm = front.realm.clone();
    let attempt = Attempt::new("authorization_request", &Caller::Anonymous, client.id.as_str());
    let assertion = authenticated.assertion.clone();
    let pushed = perform(&front.core, attempt, move |tx| {
        if let Some(assertion) = &assertion {
            assertion.consume(tx).map_err(PushError::from)?;
        }
        if let Some(proof) = &proof {
            proof.consume(tx).map_err(PushError::from)?;
        }
        let permit = authorise::<AuthorizationRequest>(&Caller::Anonymous, &Facts::new(realm.env.now(), asked.client.as_str()));
        Ok::<_, PushError>(authorization_push(tx, &realm, permit.map_err(BeginError::from)?, &asked, &peer)?)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(json!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in_s }))))
}

/// The key of the proof is the key that the code will be bound to (RFC 9449, 10.1).
fn bind(asked: &mut Asked, proof: Option<&Proof>) -> Result<(), OAuthError> {
    let Some(proof) = proof else { return Ok(()) };
    match &asked.dpop_jkt {
        Some(jkt) if jkt != proof.jkt() => Err(OAuthError::invalid_request("`dpop_jkt` names another key than the proof")),
        _ => {
            asked.dpop_jkt = Some(proof.jkt().to_owned());
            Ok(())
        }
    }
}

async fn grant(front: &Front, text: &str, client_name: &str, proof: Option<&Proof>) -> Result<AskedGrant, OAuthError> {
    let details = authorization::details::read(text)?;
    let Some(proof) = proof else {
        return Err(Refusal::new("invalid_request", "a grant is asked for with a DPoP proof of the agent's key").into());
    };
    let name = details.name.clone().unwrap_or_else(|| client_name.to_owned());
    let name = name.parse().map_err(|e| Refusal::new("invalid_authorization_details", format!("`name`: {e}")))?;
    let refuse = |why: &str| Refusal::new("invalid_authorization_details", why);
    let scope = asked::scope(front, &details).await.map_err(|e| refuse(e.description()))?;
    // Here, where the client hears of it: a person would meet a page that leads nowhere.
    scope.check().map_err(|e| refuse(&e.to_string()))?;
    Ok(AskedGrant { scope, name, key: proof.key().clone() })
}

/// What can go wrong when a request is kept.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Assertion(#[from] purser_identity::client::assertion::AssertionError),
    #[error(transparent)]
    Proof(#[from] purser_identity::token::dpop::ProofError),
    #[error(transparent)]
    Db(#[from] purser_db::DbError),
}

impl purser_values::error::PublicError for PushError {
    fn code(&self) -> &'static str {
        match self {
            Self::Begin(e) => e.code(),
            Self::Assertion(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> purser_values::error::Kind {
        match self {
            Self::Begin(e) => e.kind(),
            Self::Assertion(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Begin(e) => e.hint(),
            Self::Proof(e) => e.hint(),
            Self::Assertion(_) | Self::Db(_) => None,
        }
    }
}
