//! The API for agents, for persons' command lines, and for providers.
//!
//! A handler parses, obtains who calls, runs one use case and renders; whatever decides is in the domains.

mod accounts;
mod agents;
mod alerts;
mod approvals;
mod billing;
mod budgets;
mod caller;
mod caps;
mod catalog;
mod ceilings;
mod challenge;
mod client_document;
mod clients;
mod credits;
mod deployments;
mod events;
mod organisation;
mod people_only;
mod projects;
mod providers;
mod rail_messages;
mod rates;
mod resources;
mod sagas;
mod spend;
mod terms;
mod trace;
mod variables;
mod webhooks;
mod whoami;
mod workloads;

pub use client_document::path as client_document_path;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use purser_flow::Engine;
use purser_http::Problem;
use purser_http::around::AroundLayer;
use purser_provisioning::App;
use purser_provisioning::charges::Rails;
use purser_values::limits::UPLOAD_BODY_BYTES;
use tower::ServiceBuilder;

use self::challenge::Challenge;
use crate::oidc::Clients;

/// State of the routes. Every request clones it several times, so a clone is one counter.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

pub struct Parts {
    pub app: App,
    pub engine: Engine,
    pub rails: Rails,
    pub clients: Clients,
}

impl Deref for Api {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Api {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

purser_http::routes! { Api;
    get "/health" => health;
    get "/v1/whoami" => whoami::read;
    get "/v1/catalog" => catalog::list;
    post "/v1/projects" => projects::create;
    get "/v1/projects/{name}" => projects::read;
    post "/v1/accounts" => accounts::link;
    post "/v1/resources" => resources::add;
    get "/v1/resources/{id}" => resources::read;
    post "/v1/resources/{id}/update" => resources::update;
    post "/v1/resources/{id}/remove" => resources::remove;
    post "/v1/resources/{id}/rotate" => resources::rotate;
    post "/v1/resources/{id}/end" => resources::end;
    post "/v1/resources/{id}/refund_request" => resources::refund_request;
    get "/v1/refund_requests" => resources::refund_requests;
    post "/v1/deployments" => deployments::create, UPLOAD_BODY_BYTES;
    get "/v1/sagas/{id}" => sagas::read;
    get "/v1/variables" => variables::list;
    post "/v1/variables/export" => variables::export;
    get "/v1/spend" => spend::read;
    get "/v1/trace" => trace::read;
    get "/v1/events" => events::list;
    get "/v1/spend/report" => spend::report;
    get "/v1/statement" => spend::export;
    get "/v1/alerts" => alerts::list;
    get "/v1/billing" => billing::read;
    get "/v1/credits" => credits::list;
    post "/v1/credits" => credits::apply;
    get "/v1/credits/{id}" => credits::read;
    post "/v1/caps" => caps::set;
    get "/v1/ceilings" => ceilings::list;
    put "/v1/ceilings" => ceilings::set;
    put "/v1/ceilings/zone" => ceilings::zone;
    get "/v1/rates" => rates::list;
    put "/v1/rates" => rates::set;
    get "/v1/budgets" => budgets::list;
    put "/v1/budgets" => budgets::set;
    post "/v1/budgets/{id}/remove" => budgets::remove;
    get "/v1/webhooks" => webhooks::list;
    post "/v1/webhooks" => webhooks::add;
    post "/v1/webhooks/{id}/rotate" => webhooks::rotate;
    post "/v1/webhooks/{id}/test" => webhooks::test;
    post "/v1/webhooks/{id}/remove" => webhooks::remove;
    post "/v1/payment_methods" => people_only::payment_method_set;
    post "/v1/terms_acceptances" => people_only::terms_accept;
    get "/v1/agents" => agents::list;
    post "/v1/agents/{id}/freeze" => agents::freeze;
    get "/v1/approvals" => approvals::list;
    post "/v1/approvals" => approvals::request;
    get "/v1/approvals/{id}" => approvals::read;
    post "/v1/approvals/{id}/decide" => approvals::decide;
    get "/v1/terms" => terms::list;
    get "/v1/terms/export" => terms::export;
    get "/v1/organisation" => organisation::read;
    post "/v1/organisation" => organisation::rename;
    post "/v1/organisations" => organisation::create;
    post "/v1/organisation/invitations" => organisation::invite;
    post "/v1/organisation/invitations/{id}/revoke" => organisation::invitation_revoke;
    get "/v1/organisation/members/{id}" => organisation::member;
    post "/v1/organisation/members/{id}/role" => organisation::role_set;
    post "/v1/organisation/members/{id}/remove" => organisation::remove;
    post "/v1/organisation/leave" => organisation::leave;
    get "/v1/clients" => clients::list;
    post "/v1/clients" => clients::register;
    post "/v1/clients/{id}/remove" => clients::remove;
    get "/v1/workload_trusts" => workloads::list;
    post "/v1/workload_trusts" => workloads::add;
    post "/v1/workload_trusts/{id}/remove" => workloads::remove;
    get "/.well-known/oauth-client/{name}" => client_document::read;
    post "/v2/provisioning/charges" => providers::charge;
    post "/v2/provisioning/charges/{id}/refunds" => providers::refund;
    post "/v2/provisioning/usage_holds" => providers::usage_hold;
    post "/v2/provisioning/usage_holds/release" => providers::usage_release;
    post "/v2/provisioning/events" => providers::event;
    post "/v2/provisioning/account_requests/{id}/confirm" => providers::account_confirm;
    post "/rails/{rail}/webhook" => rail_messages::receive, rail_messages::BODY_BYTES;
}

/// The routes, without the headers that every listener adds.
pub fn router(api: Api) -> Router {
    table().layer(ServiceBuilder::new().layer(AroundLayer(Challenge(api.clone()))).map_response(step_up_page(api.clone()))).with_state(api)
}

/// What waits for its person says on which page they confirm it.
fn step_up_page(api: Api) -> impl FnOnce(Response) -> Response + Clone {
    move |response| match response.extensions().get::<Problem>() {
        Some(problem) if problem.code == "step_up_required" => {
            let mut problem = problem.clone();
            let said = problem.facts.iter().position(|(name, _)| name == "details").map(|at| problem.facts.remove(at).1);
            let mut details = said.unwrap_or_else(|| serde_json::json!({}));
            if let Some(details) = details.as_object_mut() {
                details.entry("url").or_insert_with(|| api.app.realm.url("/step-up").into());
            }
            problem.fact("details", details).into_response()
        }
        _ => response,
    }
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "status": "ok" }))
}
