//! `GET /v1/whoami`: who calls, for whom, under which grant, until when, and what may still be spent.

use axum::Json;
use axum::extract::State;
use purser_db::DbError;
use purser_http::Problem;
use purser_identity::whoami::whoami;
use serde_json::Value;

use super::Api;
use super::caller::Called;

pub async fn read(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let context = called.context.clone();
    let who = api.app.core.db.read::<_, DbError, _>(move |tx| whoami(tx, &context)).await?;
    let mut answer = serde_json::to_value(&who).map_err(|e| Problem::internal(&e))?;
    // what it may still spend is part of who an agent is here; what a person may is on their pages
    if called.caller().agent().is_some() {
        answer["spend"] = super::spend::of(&api, &called, None, None).await?["providers"].take();
    }
    Ok(Json(answer))
}
