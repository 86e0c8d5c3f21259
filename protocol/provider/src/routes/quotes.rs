//! Extension: `POST provisioning/quotes`.

use axum::extract::{Request, State};
use http::StatusCode;
use purser_wire::error::{Envelope, code};
use purser_wire::quote::QuoteRequest;

use super::{Handled, Shared, resources};
use crate::error::ProviderError;
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, Refusal, json};
use crate::store::Store;

pub async fn create<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let envelope = Envelope::Status;
    let body: QuoteRequest = resources::read(&received).envelope(envelope)?;
    let services = sdk.provider.services().await.envelope(envelope)?;
    let Some(service) = services.iter().find(|s| s.id == body.service_id) else {
        return Err(Refusal(ProviderError::unknown_service(body.service_id.as_str()), envelope));
    };
    sdk.schemas.check(service, &body.configuration).envelope(envelope)?;
    if let Some(parties) = &body.parties
        && (parties.provider != sdk.provider.manifest().name || parties.payer != call.account)
    {
        let mismatch = ProviderError::new(
            StatusCode::BAD_REQUEST,
            code::QUOTE_MISMATCH,
            "the quote is asked for between others than us and this account",
        );
        return Err(Refusal(mismatch, envelope));
    }
    // a quote costs nothing and moves nothing: a repeat may get another
    let quote = sdk.provider.quote_create(&call, body).await.envelope(envelope)?;
    Ok(json(StatusCode::OK, &quote))
}
