//! `GET /oauth/authorize`: the standard way to the page that connects. It takes part in nothing but finding that page: what was
//! asked for is in the account request, and what is said here must be the same.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_http::extract::Query;
use serde::Deserialize;
use slipway_accounts::link::request::link_request_find;
use slipway_accounts::link::scope::Scopes;

use super::failure::PageError;
use super::link::callback;
use crate::cloud::{Cloud, Shared};

#[derive(Deserialize)]
pub struct Authorize {
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    client_id: String,
    redirect_uri: Option<String>,
    #[serde(default)]
    state: String,
    scope: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

pub async fn get(State(cloud): State<Shared>, Query(asked): Query<Authorize>) -> Result<Response, PageError> {
    // Nothing is sent back before it is certain to whom (RFC 6749, 4.1.2.1).
    if !is_orchestrator(&cloud, &asked.client_id) {
        return Err(PageError::new(StatusCode::BAD_REQUEST, "invalid_client", "slipway knows no such `client_id`"));
    }
    if asked.redirect_uri.as_deref().is_some_and(|uri| uri != cloud.callback_url.as_str()) {
        return Err(PageError::new(StatusCode::BAD_REQUEST, "invalid_request", "`redirect_uri` is not the registered callback"));
    }
    match check(&cloud, &asked).await? {
        None => {
            let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", &asked.state).finish();
            Ok(Redirect::to(&format!("/link?{query}")).into_response())
        }
        Some(error) => Ok(Redirect::to(callback(&cloud, &asked.state, &[("error", error)]).expose()).into_response()),
    }
}

fn is_orchestrator(cloud: &Cloud, client_id: &str) -> bool {
    client_id.trim_end_matches('/') == cloud.orchestrator_url.as_str().trim_end_matches('/')
}

/// The OAuth error of a request that is not the one that the state stands for.
async fn check(cloud: &Cloud, asked: &Authorize) -> Result<Option<&'static str>, PageError> {
    if asked.response_type != "code" {
        return Ok(Some("unsupported_response_type"));
    }
    let (now, state) = (cloud.env.now(), asked.state.clone());
    let Some(request) = cloud.db.read(move |tx| link_request_find(tx, now, &state)).await? else { return Ok(Some("invalid_request")) };
    if asked.code_challenge != request.challenge || asked.code_challenge_method.as_deref().is_some_and(|method| method != "S256") {
        return Ok(Some("invalid_request"));
    }
    let same_scopes = asked.scope.as_deref().is_none_or(|scope| scope.parse::<Scopes>() == Ok(request.scopes));
    Ok(if same_scopes { None } else { Some("invalid_scope") })
}
