//! The OAuth endpoints: device flow, tokens, metadata and keys.

mod decisions;
mod device_authorization;
mod error;
mod metadata;
mod proof;
mod token;

pub use decisions::Decisions;

use axum::Router;
use axum::routing::{get, post};

use crate::front::Front;

/// The routes, without the headers that every listener adds (`purser_http::harden`, which also says `no-store`).
pub fn router(front: Front) -> Router {
    Router::new()
        .route("/oauth/device_authorization", post(device_authorization::post))
        .route("/oauth/token", post(token::post))
        .route("/.well-known/oauth-authorization-server", get(metadata::server))
        .route("/.well-known/openid-configuration", get(metadata::server))
        .route("/.well-known/jwks.json", get(metadata::jwks))
        .route("/v2/provisioning/public_keys", get(metadata::public_keys))
        .with_state(front)
}
