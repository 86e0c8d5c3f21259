//! `POST /oauth/token`: the device code grant, held open until a person decides, and the refresh token grant.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use purser_authority::action::TokenIssue;
use purser_authority::{Attempt, Caller, Denied, Facts, GrantScope, Permit, authorise};
use purser_crypto::token;
use purser_http::extract::Form;
use purser_identity::grant_request::Change;
use purser_identity::token::dpop::Proof;
use purser_identity::token::{DevicePoll, RefreshError, Refreshed, TokenIssueError, Tokens, device_poll, token_issue, token_refresh};
use purser_provisioning::perform;
use purser_values::Secret;
use purser_values::limits::DEVICE_POLL_HOLD_S;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::error::OAuthError;
use super::proof;
use crate::front::Front;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// A decision made at another node rings no bell here, so a held poll also looks by itself this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Body {
    grant_type: Option<String>,
    device_code: Option<Secret<String>>,
    refresh_token: Option<Secret<String>>,
}

#[derive(Serialize)]
pub struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
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

/// The type of our authorization details.
const DETAILS: &str = "purser_grant";

impl From<Tokens> for Answer {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token.expose().clone(),
            token_type: "DPoP",
            expires_in: tokens.expires_in_s,
            refresh_token: tokens.agent.as_ref().map(|a| a.refresh_token.expose().clone()),
            grant_id: tokens.agent.as_ref().map(|a| a.grant.to_string()),
            agent_id: tokens.agent.as_ref().map(|a| a.agent.to_string()),
            authorization_details: tokens.agent.as_ref().map(|a| [Details { r#type: DETAILS, scope: a.scope.clone() }]),
            changed: tokens.agent.map(|a| a.changed).unwrap_or_default(),
        }
    }
}

pub async fn post(State(front): State<Front>, request: Request) -> Result<Json<Answer>, OAuthError> {
    let proof = proof::of(&front, request.headers(), "/oauth/token")?;
    let Form(body) = Form::<Body>::from_request(request, &()).await.map_err(OAuthError::body)?;
    match (body.grant_type.as_deref(), body.device_code, body.refresh_token) {
        (Some(DEVICE_GRANT), Some(code), None) => device(&front, code, proof).await,
        (Some("refresh_token"), None, Some(token)) => refresh(&front, token, proof).await,
        (Some(DEVICE_GRANT | "refresh_token"), _, _) => {
            Err(OAuthError::invalid_request("send the `device_code` or the `refresh_token` that the grant type is about, and not both"))
        }
        (Some(_), _, _) => Err(OAuthError::new("unsupported_grant_type", "the grant type is none of ours".to_owned())),
        (None, _, _) => Err(OAuthError::invalid_request("`grant_type` is missing")),
    }
}

async fn device(front: &Front, code: Secret<String>, proof: Proof) -> Result<Json<Answer>, OAuthError> {
    let Some(_held) = front.decisions.hold(token::hash(code.expose())) else {
        return Err(OAuthError::new("slow_down", "a poll with this device code is held open already".to_owned()));
    };
    // Subscribed before the first look, so that no decision falls between the two.
    let mut decided = front.decisions.listen();
    let take = proof.clone();
    front.core.db.write(move |tx| take.consume(tx)).await?;
    let until = Instant::now() + Duration::from_secs(DEVICE_POLL_HOLD_S);
    loop {
        let (now, look_code, look_proof) = (front.realm.env.now(), code.clone(), proof.clone());
        let poll = front.core.db.read(move |tx| device_poll(tx, now, &look_code, &look_proof)).await?;
        if poll == DevicePoll::Decided {
            break;
        }
        if Instant::now() >= until {
            return Err(TokenIssueError::Pending.into());
        }
        let _ = timeout_at(until.min(Instant::now() + LOOK_AGAIN), decided.changed()).await;
    }
    let realm = front.realm.clone();
    let tokens = perform(&front.core, attempt(&proof), move |tx| {
        token_issue(tx, &realm, permit(&realm.env, &proof).map_err(|_| TokenIssueError::InvalidGrant)?, &code, &proof)
    });
    Ok(Json(tokens.await?.into()))
}

async fn refresh(front: &Front, refresh_token: Secret<String>, proof: Proof) -> Result<Json<Answer>, OAuthError> {
    let realm = front.realm.clone();
    let refreshed = perform(&front.core, attempt(&proof), move |tx| {
        token_refresh(tx, &realm, permit(&realm.env, &proof).map_err(|_| RefreshError::InvalidGrant)?, &refresh_token, &proof)
    });
    match refreshed.await? {
        Refreshed::Issued(tokens) => Ok(Json(tokens.into())),
        Refreshed::Reused => Err(RefreshError::InvalidGrant.into()),
    }
}

fn attempt(proof: &Proof) -> Attempt {
    Attempt::new("token_issue", &Caller::Anonymous, proof.jkt())
}

fn permit(env: &purser_values::Env, proof: &Proof) -> Result<Permit<TokenIssue>, Denied> {
    authorise::<TokenIssue>(&Caller::Anonymous, &Facts::new(env.now(), proof.jkt()))
}
