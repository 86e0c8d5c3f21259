//! `GET /v1/trace?of=…`.

use axum::Json;
use axum::extract::State;
use purser_http::Problem;
use purser_http::extract::Query;
use serde::Deserialize;
use serde_json::Value;

use super::Api;
use super::caller::Called;

#[derive(Deserialize)]
pub struct Question {
    of: String,
}

pub async fn read(State(api): State<Api>, called: Called, Query(question): Query<Question>) -> Result<Json<Value>, Problem> {
    Ok(Json(purser_provisioning::trace::trace(&api.app, called.caller(), question.of).await?))
}
