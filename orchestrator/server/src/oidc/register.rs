//! `/oauth/register`: clients that register themselves (RFC 7591) and look after their registration (RFC 7592).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use purser_authority::action::ClientRegister;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::client::{
    Client, ClientId, ClientMetadata, ManageError, RawMetadata, Registration, client_delete, client_read, client_register, client_update,
};
use purser_provisioning::perform;
use purser_values::{Secret, Timestamp};
use serde_json::{Value, json};

use super::error::OAuthError;
use crate::front::Front;
use crate::peer::Peer;

/// What a client is told of its registration (RFC 7591, 3.2.1).
pub fn information(client: &Client, created_at: Timestamp, secret: Option<&Secret<String>>) -> Value {
    let mut told = json!(client.metadata);
    told["client_id"] = json!(client.id);
    told["client_id_issued_at"] = json!(created_at.as_secs());
    if let Some(secret) = secret {
        told["client_secret"] = json!(secret.expose());
        // it does not run out
        told["client_secret_expires_at"] = json!(0);
    }
    told
}

fn refused_registration() -> OAuthError {
    OAuthError::invalid_token("clients do not register here without a token of the operator's")
        .hint("ask whoever runs this installation for an initial access token; an owner or admin registers one with `POST /v1/clients`")
}

pub async fn post(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), OAuthError> {
    let rules = front.clients.rules();
    let trust = rules.admits(bearer(&headers)?.as_ref());
    let trust = trust.ok_or_else(refused_registration)?;
    let metadata = read(&headers, &body)?.checked(trust, rules.sandbox, |url| front.clients.reachable(url))?;
    let (realm, registration) = (front.realm.clone(), Registration { metadata, trust, peer });
    let attempt = Attempt::new("client_register", &Caller::Anonymous, registration.peer.clone());
    let registered = perform(&front.core, attempt, move |tx| {
        let permit = authorise::<ClientRegister>(&Caller::Anonymous, &Facts::new(realm.env.now(), &registration.peer))?;
        client_register(tx, &realm, permit, &registration)
    })
    .await?;
    let mut told = information(&registered.client, registered.created_at, registered.secret.as_ref());
    told["registration_client_uri"] = json!(own_uri(&front, &registered.client.id));
    told["registration_access_token"] = json!(registered.registration_token.as_ref().map(Secret::expose));
    Ok((StatusCode::CREATED, Json(told)))
}

pub async fn get(State(front): State<Front>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>, OAuthError> {
    let (id, token) = named(&id, &headers)?;
    let look = id.clone();
    let managed = front.core.db.read(move |tx| client_read(tx, &look, &token)).await.map_err(refused)?;
    let mut told = information(&managed.client, managed.created_at, None);
    told["registration_client_uri"] = json!(own_uri(&front, &id));
    Ok(Json(told))
}

pub async fn put(State(front): State<Front>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, OAuthError> {
    let (id, token) = named(&id, &headers)?;
    let (look, look_token) = (id.clone(), token.clone());
    let known = front.core.db.read(move |tx| client_read(tx, &look, &look_token)).await.map_err(refused)?.client;
    let metadata = changed(&front, &known, read(&headers, &body)?)?;
    let (realm, change) = (front.realm.clone(), id.clone());
    let attempt = Attempt::new("client_register", &Caller::Anonymous, id.as_str());
    let managed = perform(&front.core, attempt, move |tx| {
        let permit = authorise::<ClientRegister>(&Caller::Anonymous, &Facts::new(realm.env.now(), change.as_str()))?;
        client_update(tx, &realm, permit, &change, &token, &metadata)
    });
    let managed = managed.await.map_err(refused)?;
    front.clients.forget(&id);
    let mut told = information(&managed.client, managed.created_at, managed.secret.as_ref());
    told["registration_client_uri"] = json!(own_uri(&front, &id));
    Ok(Json(told))
}

pub async fn delete(State(front): State<Front>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, OAuthError> {
    let (id, token) = named(&id, &headers)?;
    let (realm, gone) = (front.realm.clone(), id.clone());
    let attempt = Attempt::new("client_remove", &Caller::Anonymous, id.as_str());
    perform(&front.core, attempt, move |tx| client_delete(tx, &realm, &gone, &token)).await.map_err(refused)?;
    front.clients.forget(&id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The metadata of an update (RFC 7592, 2.2): a whole, which names the client and does not choose its secret.
fn changed(front: &Front, known: &Client, raw: RawMetadata) -> Result<ClientMetadata, OAuthError> {
    if raw.client_id.as_deref() != Some(known.id.as_str()) {
        return Err(OAuthError::invalid_request("`client_id` must be in the body, and be this client"));
    }
    if raw.client_secret.as_ref().is_some_and(|secret| !known.has_secret(secret)) {
        return Err(OAuthError::invalid_request("a client does not choose its secret"));
    }
    Ok(raw.checked(known.trust, front.clients.rules().sandbox, |url| front.clients.reachable(url))?)
}

fn read(headers: &HeaderMap, body: &Bytes) -> Result<RawMetadata, OAuthError> {
    let content = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !content.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(OAuthError::invalid_request("send the metadata as `application/json`"));
    }
    Ok(RawMetadata::read(body)?)
}

fn named(id: &str, headers: &HeaderMap) -> Result<(ClientId, Secret<String>), OAuthError> {
    let id = id.parse().map_err(|_| refused(ManageError::Token))?;
    Ok((id, bearer(headers)?.ok_or_else(|| refused(ManageError::Token))?))
}

fn bearer(headers: &HeaderMap) -> Result<Option<Secret<String>>, OAuthError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    token.map(|token| Some(Secret::new(token.to_owned()))).ok_or_else(|| OAuthError::invalid_token("a bearer token is expected"))
}

fn refused(e: ManageError) -> OAuthError {
    match e {
        ManageError::Token => OAuthError::invalid_token(&e.to_string()),
        e => e.into(),
    }
}

fn own_uri(front: &Front, id: &ClientId) -> String {
    front.realm.url(&format!("/oauth/register/{id}"))
}
