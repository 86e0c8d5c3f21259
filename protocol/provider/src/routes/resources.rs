//! Resources: create, get, update, remove, rotate.

use std::future::Future;

use axum::extract::{Path, Request, State};
use http::{Method, StatusCode};
use purser_values::Sha256Digest;
use purser_wire::canonical;
use purser_wire::error::{Envelope, code};
use purser_wire::id::ResourceId;
use purser_wire::resource::{CreateResource, RemoveReason, ResourceEnvelope, ResourceState, UpdateResource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Handled, Sdk, Shared, to_the_end};
use crate::call::AccountCall;
use crate::error::ProviderError;
use crate::gate::{Received, receive};
use crate::idempotency::{self, Change};
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, json, read_body};
use crate::store::Store;

const ENVELOPE: Envelope = Envelope::Status;

pub async fn create<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = enter(&sdk, request).await?;
    let body: CreateResource = read(&received).envelope(ENVELOPE)?;
    change(sdk, call, received, |sdk, call| async move {
        let services = sdk.provider.services().await?;
        let service = services.iter().find(|s| s.id == body.service_id);
        let service = service.ok_or_else(|| ProviderError::unknown_service(body.service_id.as_str()))?;
        sdk.schemas.check(service, &body.configuration)?;
        sdk.provider.resource_create(&call, body).await
    })
    .await
}

pub async fn get<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, Path(id): Path<String>, request: Request) -> Handled {
    let (call, _) = enter(&sdk, request).await?;
    let id = resource_id(&id).envelope(ENVELOPE)?;
    let envelope = sdk.provider.resource_get(&call, &id).await.envelope(ENVELOPE)?;
    Ok(json(status_of(&envelope), &envelope))
}

pub async fn update<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, Path(id): Path<String>, request: Request) -> Handled {
    let (call, received) = enter(&sdk, request).await?;
    let id = resource_id(&id).envelope(ENVELOPE)?;
    let body: UpdateResource = read(&received).envelope(ENVELOPE)?;
    change(sdk, call, received, |sdk, call| async move {
        if let Some(target) = &body.service_id {
            let services = sdk.provider.services().await?;
            let service = services.iter().find(|s| s.id == *target);
            let service = service.ok_or_else(|| ProviderError::unknown_service(target.as_str()))?;
            if let Some(configuration) = &body.configuration {
                sdk.schemas.check(service, configuration)?;
            }
        }
        sdk.provider.resource_update(&call, &id, body).await
    })
    .await
}

pub async fn remove<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, Path(id): Path<String>, request: Request) -> Handled {
    let (call, received) = enter(&sdk, request).await?;
    let id = resource_id(&id).envelope(ENVELOPE)?;
    let body: Map<String, Value> = read(&received).envelope(ENVELOPE)?;
    let undone = body.get("reason").and_then(Value::as_str) == Some(RemoveReason::Undone.as_str());
    change(sdk, call, received, move |sdk, call| async move {
        if undone { sdk.provider.resource_cancel(&call, &id).await } else { sdk.provider.resource_remove(&call, &id).await }
    })
    .await
}

pub async fn rotate<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, Path(id): Path<String>, request: Request) -> Handled {
    let (call, received) = enter(&sdk, request).await?;
    let id = resource_id(&id).envelope(ENVELOPE)?;
    change(sdk, call, received, |sdk, call| async move { sdk.provider.resource_rotate(&call, &id).await }).await
}

/// Signature, version, bearer token, and a body that is JSON or empty.
pub async fn enter<P: Provider, S: Store>(sdk: &Sdk<P, S>, request: Request) -> Result<(AccountCall, Received), crate::reply::Refusal> {
    let received = receive(request, sdk.config.env.now()).await?;
    let call = sdk.with_account(&received).await?;
    if received.method != Method::GET {
        read::<Map<String, Value>>(&received).envelope(ENVELOPE)?;
    }
    Ok((call, received))
}

/// The body as a type; an empty body counts as `{}`.
pub fn read<T: DeserializeOwned>(received: &Received) -> Result<T, ProviderError> {
    let body: &[u8] = if received.body.is_empty() { b"{}" } else { &received.body };
    read_body(body)
}

/// Runs a change to its end, once per idempotency key.
async fn change<P: Provider, S: Store, F, Fut>(sdk: Shared<P, S>, call: AccountCall, received: Received, run: F) -> Handled
where
    F: FnOnce(Shared<P, S>, AccountCall) -> Fut + Send + 'static,
    Fut: Future<Output = Result<ResourceEnvelope, ProviderError>> + Send,
{
    once(sdk, call, received, status_of, run).await
}

/// The same for an answer of any form.
pub async fn once<P: Provider, S: Store, F, Fut, T>(
    sdk: Shared<P, S>,
    call: AccountCall,
    received: Received,
    status: fn(&T) -> StatusCode,
    run: F,
) -> Handled
where
    F: FnOnce(Shared<P, S>, AccountCall) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, ProviderError>> + Send,
    T: Serialize + Send + Sync + 'static,
{
    let digest = digest(&received);
    to_the_end(ENVELOPE, async move {
        let work = async {
            let answer = run(sdk.clone(), call.clone()).await?;
            let body = serde_json::to_vec(&answer).map_err(|e| ProviderError::internal(&e))?;
            Ok((status(&answer), body))
        };
        let change = Change { call: &call, digest, envelope: ENVELOPE };
        idempotency::once(&*sdk.store, &sdk.locks, &sdk.config, change, work).await
    })
    .await
}

/// What a key is bound to. The body counts by value, so that a repeat may be written differently.
pub fn digest(received: &Received) -> Sha256Digest {
    let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
    let parts = [received.method.as_str(), " ", received.uri.path(), "\n", &canonical::json(&body)];
    Sha256Digest::of_parts(&parts.map(str::as_bytes))
}

/// An error inside an envelope is a refusal like any other; all other states are answers.
fn status_of(envelope: &ResourceEnvelope) -> StatusCode {
    match &envelope.state {
        ResourceState::Error(error) if error.code == code::NOT_FOUND => StatusCode::NOT_FOUND,
        ResourceState::Error(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

pub fn resource_id(text: &str) -> Result<ResourceId, ProviderError> {
    text.parse().map_err(|_| ProviderError::not_found("resource"))
}
