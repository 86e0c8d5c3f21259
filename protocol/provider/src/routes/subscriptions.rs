//! Extension `subscriptions`: ending with the period, and asking money back.

use axum::extract::{Path, Request, State};
use http::StatusCode;
use purser_wire::error::Envelope;
use purser_wire::limits::REFUND_REASON_CHARS;
use purser_wire::subscription::{RefundAsk, RenewalRequest};

use super::resources::{enter, once, read, resource_id};
use super::{Handled, Shared};
use crate::error::ProviderError;
use crate::provider::Provider;
use crate::reply::InEnvelope as _;
use crate::store::Store;

const ENVELOPE: Envelope = Envelope::Status;

pub async fn renewal<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, Path(id): Path<String>, request: Request) -> Handled {
    let (call, received) = enter(&sdk, request).await?;
    let id = resource_id(&id).envelope(ENVELOPE)?;
    let body: RenewalRequest = read(&received).envelope(ENVELOPE)?;
    once(sdk, call, received, |_| StatusCode::OK, move |sdk, call| async move { sdk.provider.renewal_set(&call, &id, body.renews).await })
        .await
}

pub async fn refund_request<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, Path(id): Path<String>, request: Request) -> Handled {
    let (call, received) = enter(&sdk, request).await?;
    let id = resource_id(&id).envelope(ENVELOPE)?;
    let body: RefundAsk = read(&received).envelope(ENVELOPE)?;
    if body.reason.trim().is_empty() || body.reason.chars().count() > REFUND_REASON_CHARS {
        let why = format!("`reason` is 1 to {REFUND_REASON_CHARS} characters");
        return Err(ProviderError::new(StatusCode::BAD_REQUEST, "invalid_request", why)).envelope(ENVELOPE);
    }
    once(
        sdk,
        call,
        received,
        |_| StatusCode::OK,
        move |sdk, call| async move { sdk.provider.refund_request(&call, &id, &body.reason).await },
    )
    .await
}
