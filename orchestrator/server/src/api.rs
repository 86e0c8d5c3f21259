//! The API for agents, for persons' command lines, and for providers.
//!
//! A handler parses, obtains who calls, runs one use case and renders; whatever decides is in the domains.

mod agents;
mod caller;
mod catalog;
mod deployments;
mod events;
mod people_only;
mod projects;
mod providers;
mod resources;
mod sagas;
mod spend;
mod trace;
mod variables;
mod whoami;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use purser_flow::Engine;
use purser_provisioning::App;
use purser_provisioning::charges::Rails;
use purser_values::limits::UPLOAD_BODY_BYTES;

/// State of the routes, cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub app: App,
    pub engine: Engine,
    pub rails: Rails,
}

/// The routes, without the headers that every listener adds.
pub fn router(api: Api) -> Router {
    let uploads = Router::new().route("/v1/deployments", post(deployments::create)).layer(DefaultBodyLimit::max(UPLOAD_BODY_BYTES));
    Router::new()
        .route("/health", get(health))
        .route("/v1/whoami", get(whoami::read))
        .route("/v1/catalog", get(catalog::list))
        .route("/v1/projects", post(projects::create))
        .route("/v1/projects/{name}", get(projects::read))
        .route("/v1/resources", post(resources::add))
        .route("/v1/resources/{id}", get(resources::read))
        .route("/v1/resources/{id}/remove", post(resources::remove))
        .route("/v1/resources/{id}/rotate", post(resources::rotate))
        .route("/v1/sagas/{id}", get(sagas::read))
        .route("/v1/variables", get(variables::list))
        .route("/v1/variables/export", post(variables::export))
        .route("/v1/spend", get(spend::read))
        .route("/v1/trace", get(trace::read))
        .route("/v1/events", get(events::list))
        .route("/v1/caps", post(people_only::cap_set))
        .route("/v1/payment_methods", post(people_only::payment_method_set))
        .route("/v1/terms_acceptances", post(people_only::terms_accept))
        .route("/v1/agents", get(agents::list))
        .route("/v1/agents/{id}/freeze", post(agents::freeze))
        .route("/v2/provisioning/charges", post(providers::charge))
        .route("/v2/provisioning/events", post(providers::event))
        .merge(uploads)
        .with_state(api)
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "status": "ok" }))
}
