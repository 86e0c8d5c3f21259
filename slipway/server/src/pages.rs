//! What slipway shows to people: a front page and the terms for anybody; sign-in, the page on which an owner connects an orchestrator,
//! and the list of connections for those who own accounts. Rendered here, without JavaScript.

pub mod dashboard;
pub mod terms;

mod authorize;
mod billing;
mod connections;
mod cookie;
mod failure;
mod form;
mod link;
mod next;
mod page;
mod session;
mod sign_in;

pub use failure::{PageError, render};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::cloud::Shared;
use crate::unknown;

/// The pages of people with accounts.
pub fn router(cloud: Shared) -> Router {
    Router::new()
        .route("/sign-in", get(sign_in::get).post(sign_in::post))
        .route("/sign-in/code", get(sign_in::code_get).post(sign_in::code_post))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/link", get(link::get).post(link::post))
        .route("/oauth/authorize", get(authorize::get))
        .route("/connections", get(connections::get))
        .route("/connections/{id}/cut", post(connections::cut))
        .route("/billing", get(billing::get))
        .route("/billing/documents/{name}", get(billing::document))
        .route("/billing/{id}/cancel", post(billing::cancel))
        .route("/billing/{id}/keep", post(billing::keep))
        .route("/billing/{id}/pay", post(billing::pay))
        .route("/billing/{id}/refund", post(billing::ask_back))
        .method_not_allowed_fallback(unknown::method)
        .layer(from_fn_with_state(cloud.clone(), failure::render))
        .with_state(cloud)
}
