//! `POST /rails/{rail}/webhook`: what a payment rail tells us, signed by it.

use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use purser_http::Problem;
use purser_provisioning::rail_events::rail_event;

use super::Api;

/// Longest message of a rail, in bytes.
pub const BODY_BYTES: usize = 256 * 1024;

/// Where the rail says who signed. The body is read as bytes: one space more is another message.
const SIGNATURE: &str = "stripe-signature";

pub async fn receive(State(api): State<Api>, Path(rail): Path<String>, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Problem> {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    rail_event(&api.app.core, &api.rails, &rail, signature, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}
