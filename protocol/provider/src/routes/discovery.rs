//! Who the provider is, whether it works, what it sells.

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use purser_wire::catalog::Services;
use purser_wire::error::Envelope;
use purser_wire::health::Health;

use super::{Handled, Shared};
use crate::error::ProviderError;
use crate::gate::receive;
use crate::metadata;
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, Refusal, json};
use crate::store::Store;

/// Public: it is how an orchestrator learns the rest.
pub async fn manifest<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>) -> Response {
    let mut response = json(StatusCode::OK, &sdk.provider.manifest());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}

/// Public too. A provider without pages of its own has no such document.
pub async fn authorization_server<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>) -> Handled {
    let server = sdk.provider.authorization_server().ok_or_else(|| Refusal(ProviderError::not_found("document"), Envelope::Flat))?;
    let mut response = json(StatusCode::OK, &metadata::metadata(&sdk.provider.manifest(), server));
    response.headers_mut().insert(header::CACHE_CONTROL, metadata::CACHE);
    Ok(response)
}

pub async fn health<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    sdk.signed(&receive(request, sdk.config.env.now()).await?).await?;
    Ok(json(StatusCode::OK, &Health::ok()))
}

pub async fn services<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    sdk.signed(&receive(request, sdk.config.env.now()).await?).await?;
    let data = sdk.provider.services().await.envelope(Envelope::Flat)?;
    Ok(json(StatusCode::OK, &Services { data, next_cursor: None }))
}
