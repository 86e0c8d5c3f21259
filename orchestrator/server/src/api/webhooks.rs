//! `/v1/webhooks`: the addresses that the organisation is told at. They are for people: an agent sees none.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use purser_authority::action::{WebhookAdd, WebhookRead, WebhookRemove, WebhookRotate};
use purser_authority::{Attempt, Facts, authorise};
use purser_http::Problem;
use purser_http::extract::parse_json;
use purser_provisioning::perform;
use purser_provisioning::webhook::{self, Added, Wanted, WebhookError};
use purser_values::id::WebhookId;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Api;
use super::caller::Called;
use super::people_only::refuse;

const PAGE: &str = "/webhooks";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    url: Url,
    #[serde(default)]
    description: String,
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<WebhookRead>(&api, called, PAGE).await);
    }
    let (caller, now) = (called.context.caller, api.app.core.env.now());
    let found = api
        .app
        .core
        .db
        .read::<_, WebhookError, _>(move |tx| webhook::list(tx, &authorise::<WebhookRead>(&caller, &Facts::new(now, "webhooks"))?));
    Ok(Json(json!({ "webhooks": found.await? })))
}

/// The secret is in this answer and in no other.
pub async fn add(State(api): State<Api>, called: Called, body: Bytes) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<WebhookAdd>(&api, called, PAGE).await);
    }
    let Address { url, description } = parse_json(&body)?;
    let (caller, core, fetcher) = (called.context.caller, api.app.core.clone(), api.app.outgoing.clone());
    let wanted = Wanted { url, description };
    let attempt = Attempt::new("webhook_add", &caller, "webhooks");
    let added = perform(&api.app.core, attempt, move |tx| {
        let permit = authorise::<WebhookAdd>(&caller, &Facts::new(core.env.now(), "webhooks"))?;
        webhook::add(tx, &core, &fetcher, &permit, &wanted)
    });
    shown(added.await)
}

pub async fn rotate(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<WebhookRotate>(&api, called, PAGE).await);
    }
    let (id, caller, core) = (read(&id)?, called.context.caller, api.app.core.clone());
    let rotated = perform(&api.app.core, Attempt::new("webhook_rotate", &caller, id.as_str()), move |tx| {
        let permit = authorise::<WebhookRotate>(&caller, &Facts::new(core.env.now(), id.as_str()))?;
        webhook::rotate(tx, &core, &permit, &id)
    });
    shown(rotated.await)
}

pub async fn test(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<WebhookRemove>(&api, called, PAGE).await);
    }
    let (id, caller, core) = (read(&id)?, called.context.caller, api.app.core.clone());
    let sent = perform(&api.app.core, Attempt::new("webhook_test", &caller, id.as_str()), move |tx| {
        let permit = authorise::<WebhookRemove>(&caller, &Facts::new(core.env.now(), id.as_str()))?;
        webhook::test(tx, &core, &permit, &id)
    });
    let message = sent.await.map_err(|e: WebhookError| Problem::from(e))?;
    Ok(Json(json!({ "message": message })))
}

pub async fn remove(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<WebhookRemove>(&api, called, PAGE).await);
    }
    let (id, caller, env) = (read(&id)?, called.context.caller, api.app.core.env.clone());
    let removed = perform(&api.app.core, Attempt::new("webhook_remove", &caller, id.as_str()), {
        let id = id.clone();
        move |tx| {
            let permit = authorise::<WebhookRemove>(&caller, &Facts::new(env.now(), id.as_str()))?;
            webhook::remove(tx, &permit, &id)
        }
    });
    removed.await.map_err(|e: WebhookError| Problem::from(e))?;
    Ok(Json(json!({ "removed": id })))
}

fn read(id: &str) -> Result<WebhookId, Problem> {
    id.parse().map_err(|_| Problem::from(WebhookError::Unknown))
}

fn shown(added: Result<Added, WebhookError>) -> Result<Json<Value>, Problem> {
    let Added { endpoint, secret } = added?;
    Ok(Json(json!({ "webhook": endpoint, "secret": secret.expose() })))
}
