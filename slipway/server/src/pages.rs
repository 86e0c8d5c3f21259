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
mod registrant;
mod session;
mod sign_in;

pub use failure::{PageError, render};

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::cloud::Shared;
use crate::unknown;

purser_http::routes! { Shared;
    get "/sign-in" => sign_in::get;
    post "/sign-in" => sign_in::post;
    get "/sign-in/code" => sign_in::code_get;
    post "/sign-in/code" => sign_in::code_post;
    post "/sign-out" => sign_in::sign_out;
    get "/link" => link::get;
    post "/link" => link::post;
    get "/oauth/authorize" => authorize::get;
    get "/connections" => connections::get;
    post "/connections/{id}/cut" => connections::cut;
    get "/registrant" => registrant::get;
    post "/registrant/{account}/erase" => registrant::erase;
    get "/billing" => billing::get;
    get "/billing/documents/{name}" => billing::document;
    post "/billing/{id}/cancel" => billing::cancel;
    post "/billing/{id}/keep" => billing::keep;
    post "/billing/{id}/pay" => billing::pay;
    post "/billing/{id}/refund" => billing::ask_back;
}

/// The pages of people with accounts.
pub fn router(cloud: Shared) -> Router {
    table().method_not_allowed_fallback(unknown::method).layer(from_fn_with_state(cloud.clone(), failure::render)).with_state(cloud)
}
