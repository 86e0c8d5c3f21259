//! The Cloudflare-compatible API, version 4, below `/client/v4`: what an unmodified wrangler calls, and no more.
//!
//! One file per group of endpoints. Handlers parse, obtain the caller's permit, run one use case, and render. What is not here answers
//! 7003, so that a client can tell a missing route from a missing Worker.

pub mod caller;
pub mod envelope;

mod accounts;
mod assets;
mod body;
mod deployments;
mod domains;
mod empty;
mod render;
mod scripts;
mod secrets;
mod services;
mod settings;
mod subdomain;
mod subscriptions;
mod upload;
mod user;
mod versions;
mod zones;

use std::borrow::Cow;

use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::routing::{delete, get, patch, post, put};
use purser_values::limits::UPLOAD_BODY_BYTES;
use slipway_workers::name::ScriptName;

use crate::cloud::Shared;
use envelope::Failure;

/// The router, to be nested below `/client/v4`.
pub fn router(cloud: Shared) -> Router {
    let uploads = Router::new()
        .route("/accounts/{account}/workers/scripts/{script}", put(scripts::upload).delete(scripts::delete))
        .route("/accounts/{account}/workers/scripts/{script}/versions", get(versions::list).post(versions::create))
        .route("/accounts/{account}/workers/assets/upload", post(assets::upload))
        .layer(DefaultBodyLimit::max(UPLOAD_BODY_BYTES));
    Router::new()
        .merge(uploads)
        .merge(identity())
        .nest("/accounts/{account}/workers", workers())
        .nest("/accounts/{account}/workers/scripts/{script}", script())
        .route("/accounts/{account}/storage/kv/namespaces", get(empty::list))
        .route("/zones", get(zones::list))
        .route("/zones/{zone}", get(zones::get))
        .route("/zones/{zone}/workers/routes", get(zones::routes))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(cloud)
}

fn identity() -> Router<Shared> {
    Router::new()
        .route("/user", get(user::get))
        .route("/user/tokens/verify", get(user::verify))
        .route("/memberships", get(accounts::memberships))
        .route("/user/subscriptions", get(subscriptions::of_user))
        .route("/accounts/{account}/subscriptions", get(subscriptions::list))
        .route("/accounts/{account}/subscriptions/{subscription}", get(subscriptions::get))
        .route("/accounts/{account}/billable/usage", get(subscriptions::usage))
        .route("/accounts", get(accounts::list))
        .route("/accounts/{account}", get(accounts::get))
}

fn workers() -> Router<Shared> {
    Router::new()
        .route("/scripts", get(scripts::list))
        .route("/services/{script}", get(services::get).delete(scripts::delete))
        .route("/workers/{script}", get(services::worker))
        .route("/workers/{script}/versions/latest", patch(secrets::latest))
        .route("/subdomain", get(subdomain::get).put(subdomain::put))
        .route("/domains", get(domains::list))
        .route("/domains/{domain}", get(domains::get).delete(domains::delete))
        .route("/tails/by-consumer/{script}", get(empty::list))
        .route("/durable_objects/namespaces", get(empty::list))
}

fn script() -> Router<Shared> {
    Router::new()
        .route("/versions/{version}", get(versions::get))
        .route("/deployments", get(deployments::list).post(deployments::create))
        .route("/deployments/{deployment}", get(deployments::get))
        .route("/settings", get(settings::get))
        .route("/script-settings", get(settings::script_get).patch(settings::script_patch))
        .route("/subdomain", get(subdomain::script_get).post(subdomain::script_put).delete(subdomain::script_delete))
        .route("/secrets", get(secrets::list).put(secrets::put))
        .route("/secrets/{secret}", delete(secrets::delete))
        .route("/secrets-bulk", patch(secrets::bulk))
        .route("/assets-upload-session", post(assets::session))
        .route("/domains/changeset", post(domains::changeset))
        .route("/domains/records", put(domains::records))
        .route("/references", get(empty::object))
        .route("/schedules", get(empty::schedules).put(empty::schedules_put))
        .route("/routes", put(empty::routes_put))
}

async fn unknown(OriginalUri(uri): OriginalUri) -> Failure {
    Failure::no_route(uri.path())
}

/// The value of a parameter of a query string.
fn query<'a>(text: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v)
}

/// The Worker that a path names. What cannot be a name is a Worker that does not exist.
fn existing(script: &str) -> Result<ScriptName, Failure> {
    script.parse().map_err(|_| slipway_workers::WorkersError::ScriptNotFound.into())
}

/// The name of a Worker that may be made now.
fn named(script: &str) -> Result<ScriptName, Failure> {
    script.parse().map_err(|e: slipway_workers::name::ParseNameError| Failure::invalid(e.to_string()))
}
