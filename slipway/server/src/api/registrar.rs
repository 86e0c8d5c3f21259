//! The registrar's routes: searching, checking and getting names as Cloudflare's clients do it, and a rehearsal of the same
//! (`registrar-sandbox`) in which nothing is bought.
//!
//! INVARIANT (agent-cannot-widen): a token of the API spends no money. Buying a name goes through the orchestrator, where caps and
//! approvals are; here, asking for one that is not the account's is answered with the state `action_required` and what to do.

mod departure;
mod domains;
mod extensions;
mod names;
mod registrations;
mod rehearsal;
mod transfers;
mod workflow;

use axum::Router;
use slipway_registrar::registrar::Registrar;

use super::envelope::Failure;
use crate::cloud::{Cloud, Shared};

purser_http::routes! { Shared;
    get "/accounts/{account}/registrar/domain-search" => names::search;
    post "/accounts/{account}/registrar/domain-check" => names::check;
    get "/accounts/{account}/registrar/registrations" => registrations::list;
    post "/accounts/{account}/registrar/registrations" => registrations::create;
    get "/accounts/{account}/registrar/registrations/{domain}" => registrations::get;
    patch "/accounts/{account}/registrar/registrations/{domain}" => registrations::edit;
    delete "/accounts/{account}/registrar/registrations/{domain}" => departure::delete;
    post "/accounts/{account}/registrar/registrations/{domain}/transfer-out" => departure::transfer_out;
    post "/accounts/{account}/registrar/registrations/{domain}/auth-code" => departure::auth_code;
    get "/accounts/{account}/registrar/registrations/{domain}/registration-status" => registrations::registration_status;
    get "/accounts/{account}/registrar/registrations/{domain}/update-status" => registrations::update_status;
    post "/accounts/{account}/registrar/registrations/{domain}/transfer-in" => transfers::create;
    get "/accounts/{account}/registrar/registrations/{domain}/transfer-in-status" => transfers::status;
    post "/accounts/{account}/registrar/domain-transfer-check" => transfers::check;
    get "/accounts/{account}/registrar/extensions" => extensions::list;
    get "/accounts/{account}/registrar/extensions/{extension}" => extensions::get;
    get "/accounts/{account}/registrar/domains" => domains::list;
    get "/accounts/{account}/registrar/domains/{domain}" => domains::get;
    put "/accounts/{account}/registrar/domains/{domain}" => domains::put;
    get "/accounts/{account}/registrar-sandbox/domain-search" => rehearsal::search;
    post "/accounts/{account}/registrar-sandbox/domain-check" => rehearsal::check;
    get "/accounts/{account}/registrar-sandbox/registrations" => rehearsal::list;
    post "/accounts/{account}/registrar-sandbox/registrations" => rehearsal::create;
    get "/accounts/{account}/registrar-sandbox/registrations/{domain}" => rehearsal::get;
    patch "/accounts/{account}/registrar-sandbox/registrations/{domain}" => rehearsal::edit;
    get "/accounts/{account}/registrar-sandbox/registrations/{domain}/registration-status" => rehearsal::registration_status;
    get "/accounts/{account}/registrar-sandbox/registrations/{domain}/update-status" => rehearsal::update_status;
    get "/accounts/{account}/registrar-sandbox/extensions" => extensions::list;
    get "/accounts/{account}/registrar-sandbox/extensions/{extension}" => extensions::get;
}

pub fn routes() -> Router<Shared> {
    table()
}

/// The registrar, where a registry is connected.
fn registrar(cloud: &Cloud) -> Result<&Registrar, Failure> {
    cloud.registrar.as_ref().ok_or_else(|| Failure::invalid("no registry is connected here, so no domains are sold"))
}
