//! Writes down every call that may change something: before it is carried out, and once more what came of it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::USER_AGENT;
use slipway_accounts::audit::{Attempt, audit_begin, audit_end};
use slipway_accounts::token::verify::Presented;

use super::caller::present;
use super::envelope::Failure;
use crate::cloud::Shared;

/// Longest path and name of a client that are kept.
const PATH_CHARS: usize = 512;
const USER_AGENT_CHARS: usize = 200;
/// By which an answer names its entry.
const RAY: &str = "cf-ray";

/// INVARIANT (no-change-unrecorded): where an entry cannot be written, nothing is carried out. Calls without a valid token change nothing
/// and belong to no account; a call that comes too fast is refused before anything is written.
pub async fn changes(State(cloud): State<Shared>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let token = match present(&cloud, request.headers()).await {
        Ok(Presented::Valid { token, .. }) => token,
        Ok(_) => return next.run(request).await,
        Err(failure) => return failure.into_response(),
    };
    if let Err(failure) = cloud.throttle.pass(&token, cloud.env.now()) {
        return failure.into_response();
    }
    let agent = request.headers().get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let attempt = Attempt {
        method: request.method().to_string(),
        path: request.uri().path().chars().take(PATH_CHARS).collect(),
        user_agent: agent.chars().take(USER_AGENT_CHARS).collect(),
    };
    let env = cloud.env.clone();
    let id = match cloud.db.write(move |tx| audit_begin(tx, &env, &token, &attempt)).await {
        Ok(id) => id,
        Err(e) => return Failure::internal(&e).into_response(),
    };
    let mut response = next.run(request).await;
    let (env, entry, status) = (cloud.env.clone(), id.clone(), response.status().as_u16());
    if let Err(e) = cloud.db.write(move |tx| audit_end(tx, &env, &entry, status)).await {
        tracing::error!(error = %e, entry = %id, "the outcome of a change is not in the audit log");
    }
    if let Ok(ray) = id.get(..16).unwrap_or_default().parse() {
        response.headers_mut().insert(RAY, ray);
    }
    response
}
