//! `POST /oauth/token`: one file for each grant type.
//!
//! Agents and terminals are known by their key (DPoP) and name no client; everybody else is a client that proves itself first.

mod client_credentials;
mod code;
mod device;
mod exchange;
mod refresh;
mod workload;

use axum::Json;
use axum::extract::State;
use purser_authority::action::TokenIssue;
use purser_authority::{Attempt, Caller, Denied, Facts, GrantScope, Permit, authorise};
use purser_identity::authorization::details::GRANT_TYPE;
use purser_identity::grant_request::Change;
use purser_identity::token::dpop::{Proof, ProofError};
use purser_identity::token::exchange::{GRANT_TYPE as GRANT_TYPE_EXCHANGE, ID_TOKEN_TYPE};
use purser_identity::token::{SignOnTokens, Tokens};
use purser_values::Env;
use serde::Serialize;

use super::error::OAuthError;
use super::form::Form;
use crate::front::Front;

pub const PATH: &str = "/oauth/token";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The answer (RFC 6749, 5.1), with our own members beside the registered ones.
#[derive(Serialize)]
pub struct Answer {
    access_token: String,
    token_type: &'static str,
    /// Of an exchange (RFC 8693, 2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    /// What was granted (RFC 9396, 7).
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<[Details; 1]>,
    /// How that differs from what was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<Change>,
}

#[derive(Serialize)]
struct Details {
    r#type: &'static str,
    #[serde(flatten)]
    scope: GrantScope,
}

impl From<Tokens> for Answer {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token.expose().clone(),
            token_type: "DPoP",
            issued_token_type: None,
            expires_in: tokens.expires_in_s,
            refresh_token: tokens.agent.as_ref().and_then(|a| a.refresh_token.as_ref()).map(|token| token.expose().clone()),
            id_token: None,
            scope: None,
            grant_id: tokens.agent.as_ref().map(|a| a.grant.to_string()),
            agent_id: tokens.agent.as_ref().map(|a| a.agent.to_string()),
            authorization_details: tokens.agent.as_ref().map(|a| [Details { r#type: GRANT_TYPE, scope: a.scope.clone() }]),
            changed: tokens.agent.map(|a| a.changed).unwrap_or_default(),
        }
    }
}

impl From<SignOnTokens> for Answer {
    fn from(tokens: SignOnTokens) -> Self {
        Self {
            access_token: tokens.access_token.expose().clone(),
            token_type: token_type(tokens.bound),
            issued_token_type: None,
            expires_in: tokens.expires_in_s,
            refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose().clone()),
            id_token: tokens.id_token,
            scope: Some(tokens.scope.to_string()),
            grant_id: None,
            agent_id: None,
            authorization_details: None,
            changed: Vec::new(),
        }
    }
}

const fn token_type(bound: bool) -> &'static str {
    if bound { "DPoP" } else { "Bearer" }
}

pub async fn post(State(front): State<Front>, form: Form) -> Result<Json<Answer>, OAuthError> {
    match form.parameters.get("grant_type") {
        Some("client_credentials") => client_credentials::answer(&front, form).await,
        Some("refresh_token") => refresh::answer(&front, form).await,
        // Each in a place of its own: whatever is awaited here in line makes the answer to every request as large as itself.
        Some("authorization_code") => Box::pin(code::answer(&front, form)).await,
        Some(GRANT_TYPE_EXCHANGE) if form.parameters.get("subject_token_type") == Some(ID_TOKEN_TYPE) => {
            Box::pin(workload::answer(&front, form)).await
        }
        Some(GRANT_TYPE_EXCHANGE) => Box::pin(exchange::answer(&front, form)).await,
        Some(DEVICE_GRANT) => Box::pin(device::answer(&front, form)).await,
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "the grant type is none of ours".to_owned())),
        None => Err(OAuthError::invalid_request("`grant_type` is missing")),
    }
    .map(Json)
}

fn attempt(subject: &str) -> Attempt {
    Attempt::new("token_issue", &Caller::Anonymous, subject)
}

fn permit(env: &Env, subject: &str) -> Result<Permit<TokenIssue>, Denied> {
    authorise::<TokenIssue>(&Caller::Anonymous, &Facts::new(env.now(), subject))
}

/// The thumbprint of the key that a request proved, for the log.
fn key_of(proof: Option<&Proof>) -> String {
    proof.map_or_else(String::new, |proof| proof.jkt().to_owned())
}

/// The proof that only a bound token can do without.
fn demanded(proof: Option<Proof>, bound: bool) -> Result<Option<Proof>, ProofError> {
    if bound && proof.is_none() { Err(ProofError::Missing) } else { Ok(proof) }
}
