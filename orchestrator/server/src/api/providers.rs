//! What providers send us, signed with the keys of their manifests (RFC 9421).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, Method, StatusCode, Uri};
use purser_authority::{Attempt, Caller};
use purser_db::DbError;
use purser_http::Problem;
use purser_provisioning::charges::charge_create;
use purser_provisioning::link::link_confirm;
use purser_provisioning::perform;
use purser_provisioning::provider_events::provider_event;
use purser_provisioning::refunds::refund_create;
use purser_provisioning::usage::{usage_hold as usage_hold_create, usage_release as block_release};
use purser_values::name::ProviderName;
use purser_wire::account_confirmation::{AccountConfirmation, AccountConfirmed};
use purser_wire::charge::{ChargeRequest, ChargeResponse};
use purser_wire::event::{EventReceipt, ProviderEvent};
use purser_wire::refund::{RefundRequest, RefundResponse};
use purser_wire::signature::message::{self, Message};
use purser_wire::usage::{UsageHoldRequest, UsageHoldResponse, UsageReleaseRequest, UsageReleaseResponse};

use super::Api;

pub async fn charge(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ChargeResponse>, Problem> {
    let (provider, key) = signed(&api, &method, &uri, &headers, &body).await?;
    let request: ChargeRequest = purser_http::extract::parse_json(&body)?;
    Ok(Json(charge_create(&api.app, &api.rails, &provider, &request, &key).await?))
}

pub async fn refund(
    State(api): State<Api>,
    Path(charge): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<RefundResponse>, Problem> {
    let (provider, key) = signed(&api, &method, &uri, &headers, &body).await?;
    let request: RefundRequest = purser_http::extract::parse_json(&body)?;
    Ok(Json(refund_create(&api.app, &api.rails, &provider, &charge, &request, &key).await?))
}

/// Money for use that has not accrued yet.
pub async fn usage_hold(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<UsageHoldResponse>, Problem> {
    let (provider, _) = signed(&api, &method, &uri, &headers, &body).await?;
    let request: UsageHoldRequest = purser_http::extract::parse_json(&body)?;
    Ok(Json(usage_hold_create(&api.app, &provider, &request).await?))
}

/// Money for use that is not needed.
pub async fn usage_release(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<UsageReleaseResponse>, Problem> {
    let (provider, _) = signed(&api, &method, &uri, &headers, &body).await?;
    let request: UsageReleaseRequest = purser_http::extract::parse_json(&body)?;
    Ok(Json(block_release(&api.app, &provider, &request).await?))
}

pub async fn event(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<EventReceipt>, Problem> {
    let (provider, _) = signed(&api, &method, &uri, &headers, &body).await?;
    let event: ProviderEvent = purser_http::extract::parse_json(&body)?;
    Ok(Json(provider_event(&api.app, &provider, event).await?))
}

/// What a person decided about an account request on a page of the provider's.
pub async fn account_confirm(
    State(api): State<Api>,
    Path(request): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<AccountConfirmed>, Problem> {
    let (provider, _) = signed(&api, &method, &uri, &headers, &body).await?;
    let confirmation: AccountConfirmation = purser_http::extract::parse_json(&body)?;
    let id = request.parse().map_err(|_| Problem::not_found())?;
    let caller = Caller::Provider { provider };
    let (env, keyring, decision) = (api.app.core.env.clone(), api.app.core.keyring.clone(), confirmation.decision);
    perform(&api.app.core, Attempt::new("account_confirm", &caller.clone(), request.clone()), move |tx| {
        link_confirm(tx, &env, &keyring, &caller, &request, &confirmation.confirmation_secret, decision)
    })
    .await?;
    Ok(Json(AccountConfirmed { id, decision }))
}

/// Which provider signed this request, and under which idempotency key. A signature is good once.
async fn signed(api: &Api, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<(ProviderName, String), Problem> {
    let refuse =
        |why: &str| Problem::new(StatusCode::UNAUTHORIZED, "invalid_signature", why).hint("sign with a key of your manifest (RFC 9421)");
    let kid = message::claimed_key(headers).map_err(|e| refuse(&e.to_string()))?;
    let names = api.app.gateway.names();
    let known = names.into_iter().find_map(|name| api.app.gateway.get(&name)?.key(&kid).map(|key| (name, key)));
    let (name, key) = known.ok_or_else(|| refuse("no provider of this installation has this key"))?;
    let idempotency = headers.get("idempotency-key").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let target = api.app.realm.url(uri.path());
    let sent = Message { method: method.as_str(), target_uri: &target, idempotency_key: idempotency, body };
    let now = api.app.core.env.now();
    let verified = message::verify(&key, headers, sent, now).map_err(|e| refuse(&e.to_string()))?;
    let (provider, until) = (name.clone(), verified.expires_at);
    let fresh = api
        .app
        .core
        .db
        .write::<_, DbError, _>(move |tx| purser_provisioning::store::nonce::take(tx, &provider, &verified.nonce, now, until));
    if !fresh.await? {
        return Err(refuse("this signature was used before"));
    }
    Ok((name, idempotency.to_owned()))
}
