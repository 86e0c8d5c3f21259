//! `/v1/resources`: add, look, update, remove, end with the period, ask money back, rotate.

use axum::Json;
use axum::extract::{Path, State};
use purser_db::DbError;
use purser_http::Problem;
use purser_http::extract::Query;
use purser_http::extract::{Json as Body, Raw, parse_json, parse_value};
use purser_provisioning::resource::add::{AddRequest, resource_add};
use purser_provisioning::resource::end::resource_end;
use purser_provisioning::resource::preflight::preflight;
use purser_provisioning::resource::refund_request::{refund_request as request_refund, refund_requests as requested_refunds};
use purser_provisioning::resource::remove::resource_remove;
use purser_provisioning::resource::rotate::resource_rotate;
use purser_provisioning::resource::update::{UpdateRequest, resource_update};
use purser_provisioning::visible::resource_visible;
use purser_values::id::ResourceId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::sagas::{self, Poll, follow};

#[derive(Deserialize)]
pub struct Add {
    #[serde(default)]
    preflight: bool,
    #[serde(flatten)]
    request: serde_json::Map<String, Value>,
}

/// The body of a route that needs none: empty, or an object without fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn nothing(body: &[u8]) -> Result<(), Problem> {
    if body.is_empty() { Ok(()) } else { parse_json::<Nothing>(body).map(drop) }
}

pub async fn add(State(api): State<Api>, called: Called, Query(poll): Query<Poll>, Body(add): Body<Add>) -> Result<Json<Value>, Problem> {
    let request: AddRequest = parse_value(Value::Object(add.request))?;
    if add.preflight {
        let found = preflight(&api.app, called.caller(), request).await?;
        let cost = found.cost.as_ref().map(super::catalog::price);
        return Ok(Json(json!({ "ready": found.ready, "rows": found.rows, "warnings": found.warnings, "cost": cost })));
    }
    let begun = resource_add(&api.app, called.caller(), &called.jkt, request, called.key.clone()).await?;
    follow(&api, &begun.saga, &poll).await
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

pub async fn update(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
    Body(request): Body<UpdateRequest>,
) -> Result<Json<Value>, Problem> {
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = resource_update(&api.app, called.caller(), &called.jkt, id, request, called.key.clone()).await?;
    follow(&api, &begun.saga, &poll).await
}

pub async fn remove(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
    Raw(body): Raw,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = resource_remove(&api.app, called.caller(), &called.jkt, id, called.key.clone()).await?;
    follow(&api, &begun.saga, &poll).await
}

pub async fn rotate(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
    Raw(body): Raw,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = resource_rotate(&api.app, called.caller(), &called.jkt, id, called.key.clone()).await?;
    follow(&api, &begun.saga, &poll).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// It goes on after all.
    #[serde(default)]
    keep: bool,
}

/// It ends with the period that is paid, or goes on after all.
pub async fn end(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
    Body(end): Body<End>,
) -> Result<Json<Value>, Problem> {
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = resource_end(&api.app, called.caller(), id, end.keep).await?;
    follow(&api, &begun.saga, &poll).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskBack {
    reason: String,
}

/// Money is asked back; where it is given, the resource is removed.
pub async fn refund_request(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
    Body(ask): Body<AskBack>,
) -> Result<Json<Value>, Problem> {
    let id: ResourceId = id.parse().map_err(|_| Problem::not_found())?;
    let begun = request_refund(&api.app, called.caller(), id, ask.reason).await?;
    follow(&api, &begun.saga, &poll).await
}

/// Every request, with its answer.
pub async fn refund_requests(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "refund_requests": requested_refunds(&api.app, &called.context).await? })))
}
