//! The person's pages: rendered here, without JavaScript (except to use a passkey), usable with a keyboard and on a phone.
//!
//! Every page says who is signed in, for which organisation, and whether this is a sandbox. Every form carries a token
//! ([`form::SignedForm`] refuses those that do not), and every change ends in a redirect.

pub mod agents;
mod alerts;
mod applications;
mod approvals;
mod bootstrap;
pub mod browser;
mod budgets;
mod card;
mod confirm;
mod consent;
pub(crate) mod cookie;
mod credits;
mod events;
pub mod failure;
pub mod form;
mod home;
mod inform;
mod invitation;
mod limits;
mod link;
mod mailed;
mod named;
mod next;
mod organisation;
pub mod page;
mod prose;
mod rates;
mod revoke;
mod sandbox;
mod script;
mod security;
pub mod session;
mod sign_in;
pub mod signed_out;
mod spend;
mod sso;
mod step_up;
mod style;
mod terms;
mod tries;
mod user_agent;
mod webhooks;
mod workloads;

pub(crate) use consent::show as consent_page;
pub use failure::PageError;
pub use form::SignedForm;
pub use page::{Page, PageContext};
pub use session::SignedIn;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::front::Front;
use crate::unknown;

purser_http::routes! { Front;
    get "/" => home::get;
    get "/sign-in" => sign_in::get;
    post "/sign-in" => sign_in::post;
    get "/sign-in/code" => sign_in::code_get;
    post "/sign-in/code" => sign_in::code_post;
    post "/sign-in/passkey" => sign_in::passkey_post;
    post "/sign-in/prove" => sso::prove;
    post "/sign-in/sso/{name}" => sso::begin;
    get "/sign-in/sso/{name}/callback" => sso::callback;
    get "/sign-in/sso/{name}/refused" => sso::refused;
    post "/sign-out" => sign_in::sign_out;
    get "/step-up" => step_up::get;
    post "/step-up/mail" => step_up::mail;
    post "/step-up/code" => step_up::code;
    post "/step-up/passkey" => step_up::passkey;
    post "/step-up/app" => step_up::app;
    post "/step-up/sso" => step_up::sso;
    post "/step-up/recovery" => step_up::recovery;
    post "/step-up/recovery/mail" => step_up::recovery_mail;
    post "/step-up/recovery/code" => step_up::recovery_code;
    get "/security" => security::get;
    get "/security/passkeys" => security::passkey_new;
    post "/security/passkeys" => security::passkey_add;
    post "/security/passkeys/{id}/remove" => security::passkey_remove;
    post "/security/app" => security::app_begin;
    post "/security/app/confirm" => security::app_confirm;
    post "/security/app/remove" => security::app_remove;
    post "/security/email" => security::email_begin;
    post "/security/email/confirm" => security::email_confirm;
    post "/security/sso/{name}/link" => security::sso_link;
    post "/security/sso/{id}/unlink" => security::sso_unlink;
    post "/security/sessions/end" => security::sessions_end;
    get "/security/undo" => security::undo_get;
    post "/security/undo" => security::undo_post;
    get "/device" => consent::get;
    post "/device" => consent::post;
    post "/device/sign-on" => consent::sign_on;
    get "/device/done" => consent::done;
    get "/terms" => terms::get;
    post "/terms" => terms::accept;
    get "/terms/export" => terms::export;
    get "/terms/{sha256}" => consent::terms;
    get "/agents" => agents::get;
    post "/agents/{id}/freeze" => agents::freeze;
    post "/agents/{id}/thaw" => agents::thaw;
    post "/grants/{id}/revoke" => agents::revoke;
    get "/revoke" => revoke::get;
    post "/revoke" => revoke::post;
    get "/approvals" => approvals::list;
    get "/approvals/{id}" => approvals::get;
    post "/approvals/{id}" => approvals::decide;
    get "/applications" => applications::get;
    post "/applications/end" => applications::end;
    post "/applications/remove" => applications::remove;
    get "/workloads" => workloads::get;
    post "/workloads" => workloads::add;
    post "/workloads/{id}/remove" => workloads::remove;
    get "/limits" => limits::get;
    post "/limits" => limits::post;
    post "/limits/ceilings" => limits::ceiling_post;
    post "/limits/zone" => limits::zone_post;
    post "/limits/rates" => rates::post;
    post "/limits/budgets" => budgets::post;
    post "/limits/budgets/{id}/remove" => budgets::remove;
    get "/credits" => credits::get;
    post "/credits" => credits::apply;
    get "/operator/credits" => credits::decide_get;
    post "/operator/credits/{id}" => credits::decide;
    get "/alerts" => alerts::get;
    get "/webhooks" => webhooks::get;
    post "/webhooks" => webhooks::add;
    post "/webhooks/{id}/rotate" => webhooks::rotate;
    post "/webhooks/{id}/test" => webhooks::test;
    post "/webhooks/{id}/remove" => webhooks::remove;
    get "/card" => card::get;
    post "/card" => card::begin;
    get "/card/set-up/{id}" => card::back;
    post "/card/{id}/confirm" => card::confirm;
    post "/card/{id}/remove" => card::remove;
    post "/card/{id}/lift" => card::lift;
    get "/confirm/{charge}" => confirm::get;
    post "/confirm/{charge}" => confirm::post;
    get "/confirm/{charge}/back" => confirm::back;
    get "/inform/{resource}" => inform::get;
    post "/inform/{resource}" => inform::post;
    get "/link/{request}" => link::get;
    post "/link/{request}/information" => link::inform;
    get "/link/callback/{provider}" => link::callback;
    get "/spend" => spend::get;
    get "/spend.csv" => spend::csv;
    get "/events" => events::get;
    get "/organisation" => organisation::get;
    post "/organisation/create" => organisation::create;
    post "/organisation/rename" => organisation::rename;
    post "/organisation/switch" => organisation::switch;
    post "/organisation/leave" => organisation::leave;
    post "/organisation/invitations" => organisation::invite;
    post "/organisation/invitations/{id}/revoke" => organisation::invitation_revoke;
    get "/organisation/members/{id}" => organisation::member;
    post "/organisation/members/{id}/role" => organisation::role;
    post "/organisation/members/{id}/remove" => organisation::remove;
    get "/invitation" => invitation::get;
    post "/invitation" => invitation::post;
    get "/bootstrap" => bootstrap::get;
    get "/style.css" => style::get;
    get "/passkey.js" => script::get;
}

/// The pages of sign-in, consent, agents, money and events.
pub fn router(front: Front) -> Router {
    table()
        .merge(sandbox::routes())
        .method_not_allowed_fallback(unknown::method)
        .layer(from_fn_with_state(front.clone(), failure::render))
        .with_state(front)
}
