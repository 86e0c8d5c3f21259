//! The OAuth and OpenID Connect endpoints: clients, authorization, tokens, metadata and keys.

mod asked;
mod authorize;
mod client_auth;
mod clients;
mod company_logout;
mod consent;
mod decisions;
mod device_authorization;
mod error;
mod form;
mod introspect;
mod known;
mod logout;
mod metadata;
pub(crate) mod nonce;
mod par;
mod proof;
pub(crate) mod register;
pub(crate) mod resource;
mod revoke;
mod token;
mod userinfo;

pub(crate) use clients::Kept;
pub use clients::{ClientError, Clients, ConfiguredClient, Registration, Rules};
pub(crate) use consent::path as consent_path;
pub use decisions::Decisions;
pub use introspect::Introspected;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tower::util::MapResponseLayer;

use crate::console::failure;
use crate::front::Front;
use crate::unknown;

/// The routes, without the headers that every listener adds (`purser_http::harden`, which also says `no-store`).
pub fn router(front: Front) -> Router {
    let pages = Router::new()
        .route("/oauth/authorize", get(authorize::get).post(authorize::post))
        .route("/oauth/consent", get(consent::get).post(consent::post))
        .route("/oauth/logout", get(logout::get).post(logout::post))
        .route("/oauth/logout/confirm", post(logout::confirm))
        .method_not_allowed_fallback(unknown::method)
        .layer(from_fn_with_state(front.clone(), failure::render));
    let proven = Router::new()
        .route("/oauth/par", post(par::post))
        .route("/oauth/device_authorization", post(device_authorization::post))
        .route("/oauth/token", post(token::post))
        .route("/oauth/userinfo", get(userinfo::answer).post(userinfo::answer))
        .route(revoke::PATH, post(revoke::post))
        .layer(MapResponseLayer::new(nonce::offer(front.clone())));
    Router::new()
        .merge(pages)
        .merge(proven)
        .route(introspect::PATH, post(introspect::post))
        .route("/sign-in/sso/{name}/logout", post(company_logout::post))
        .route("/oauth/register", post(register::post))
        .route("/oauth/register/{client_id}", get(register::get).put(register::put).delete(register::delete))
        .route("/.well-known/oauth-authorization-server", get(metadata::server))
        .route("/.well-known/openid-configuration", get(metadata::server))
        .route(resource::PATH, get(resource::metadata))
        .route("/.well-known/jwks.json", get(metadata::jwks))
        .route("/v2/provisioning/public_keys", get(metadata::public_keys))
        .with_state(front)
}
