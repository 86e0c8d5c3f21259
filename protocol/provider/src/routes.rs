//! The routes of a provider, and what they share.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get, post};
use http::StatusCode;
use purser_wire::error::Envelope;
use url::Url;

use crate::codes::Codes;
use crate::config::Config;
use crate::error::ProviderError;
use crate::idempotency::Locks;
use crate::provider::Provider;
use crate::reply::Refusal;
use crate::schema::Schemas;
use crate::store::Store;

mod accounts;
mod assertion;
mod client;
mod controls;
mod credits;
mod discovery;
mod quotes;
mod resources;
mod subscriptions;
mod token;

/// What every handler needs.
pub struct Sdk<P, S> {
    pub provider: Arc<P>,
    pub store: Arc<S>,
    pub codes: Codes<S>,
    pub config: Config,
    /// From the manifest: the addresses that signatures cover.
    pub base_url: Url,
    pub token_url: Url,
    pub locks: Locks,
    pub schemas: Schemas,
}

type Shared<P, S> = Arc<Sdk<P, S>>;
type Handled = Result<Response, Refusal>;

/// The router of a provider: `provisioning/…`, `oauth/token` and the manifest. Merge it into the provider's own; the manifest's `base_url` must
/// lead to its root and `token_url` to its `/oauth/token`.
pub fn router<P: Provider, S: Store>(provider: Arc<P>, store: Arc<S>, config: Config) -> Router {
    let manifest = provider.manifest();
    let codes = Codes::new(store.clone(), &config);
    let sdk = Arc::new(Sdk {
        provider,
        store,
        codes,
        config,
        base_url: manifest.base_url,
        token_url: manifest.token_url,
        locks: Locks::default(),
        schemas: Schemas::default(),
    });
    let one = "/provisioning/resources/{id}";
    Router::new()
        .route(&format!("/{}", purser_wire::manifest::PATH), only(get(discovery::manifest)))
        .route(&format!("/{}", crate::metadata::PATH), only(get(discovery::authorization_server)))
        .route("/provisioning/health", only(get(discovery::health)))
        .route("/provisioning/services", only(get(discovery::services)))
        .route("/provisioning/account_requests", only(post(accounts::open)))
        .route("/oauth/token", only(post(token::grant)))
        .route("/provisioning/resources", only(post(resources::create)))
        .route(one, only(get(resources::get)))
        .route(&format!("{one}/update_service"), only(post(resources::update)))
        .route(&format!("{one}/remove"), only(post(resources::remove)))
        .route(&format!("{one}/rotate_credentials"), only(post(resources::rotate)))
        .route(&format!("{one}/renewal"), only(post(subscriptions::renewal)))
        .route(&format!("{one}/refund_requests"), only(post(subscriptions::refund_request)))
        .route("/provisioning/quotes", only(post(quotes::create)))
        .route("/provisioning/credits", only(get(credits::list).post(credits::redeem)))
        .route("/provisioning/account/credentials/disable", only(post(controls::disable)))
        .route("/provisioning/account/credentials/enable", only(post(controls::enable)))
        .route("/provisioning/account/freeze", only(post(controls::freeze)))
        .route("/provisioning/account/thaw", only(post(controls::thaw)))
        .route("/provisioning/{*rest}", any(unknown))
        .with_state(sdk)
}

/// A route that answers other methods in the protocol's words.
fn only<St: Clone + Send + Sync + 'static>(methods: MethodRouter<St>) -> MethodRouter<St> {
    methods.fallback(|| async {
        let error = ProviderError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route takes another method");
        Refusal(error, Envelope::Flat).into_response()
    })
}

/// Nothing is told about routes to those who cannot sign.
async fn unknown<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let received = crate::gate::receive(request, sdk.config.env.now()).await?;
    sdk.signed(&received).await?;
    Err(Refusal(ProviderError::not_found("route"), Envelope::Flat))
}

/// Runs work to its end even if the caller hangs up in the middle: a change that was begun is finished.
async fn to_the_end(envelope: Envelope, work: impl Future<Output = Handled> + Send + 'static) -> Handled {
    match tokio::spawn(work).await {
        Ok(handled) => handled,
        Err(cause) => Err(Refusal(ProviderError::internal(&cause), envelope)),
    }
}
