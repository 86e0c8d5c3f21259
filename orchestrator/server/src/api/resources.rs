//! `/v1/resources`: add, look, remove, rotate.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use purser_db::DbError;
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_provisioning::resource::add::{AddRequest, Begun, resource_add};
use purser_provisioning::resource::preflight::preflight;
use purser_provisioning::resource::remove::resource_remove;
use purser_provisioning::resource::rotate::resource_rotate;
use purser_provisioning::visible::resource_visible;
use purser_values::id::ResourceId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::Called;
use super::{Api, sagas};

/// How long a request waits for its saga before the caller is asked to poll.
const WAIT: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
pub struct Add {
    #[serde(default)]
    preflight: bool,
    #[serde(flatten)]
    request: serde_json::Map<String, Value>,
}

pub async fn add(State(api): State<Api>, called: Called, Body(add): Body<Add>) -> Result<Json<Value>, Problem> {
    let request: AddRequest = serde_json::from_value(Value::Object(add.request)).map_err(|e| Problem::invalid(e.to_string()))?;
    if add.preflight {
        let found = preflight(&api.app, called.caller(), request).await?;
        let cost = found.cost.as_ref().map(super::catalog::price);
        return Ok(Json(json!({ "ready": found.ready, "rows": found.rows, "cost": cost })));
    }
    let begun = resource_add(&api.app, called.caller(), &called.jkt, request, called.key.clone()).await?;
    follow(&api, begun).await
}

pub async fn read(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, DbError, _>(move |tx| {
        let row = resource_visible(tx, &context, now, &id)?;
        row.map(|r| sagas::resource(tx, &r)).transpose()
    });
    found.await?.map(Json).ok_or_else(Problem::not_found)
}

pub async fn remove(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = resource_remove(&api.app, called.caller(), &called.jkt, id, called.key.clone()).await?;
    follow(&api, begun).await
}

pub async fn rotate(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = resource_rotate(&api.app, called.caller(), &called.jkt, id, called.key.clone()).await?;
    follow(&api, begun).await
}

async fn follow(api: &Api, begun: Begun) -> Result<Json<Value>, Problem> {
    api.engine.drive(begun.saga.clone());
    sagas::answer(api, &begun.saga, WAIT).await.map(Json)
}
