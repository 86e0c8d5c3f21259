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
mod events;
pub mod failure;
pub mod form;
mod home;
mod invitation;
mod limits;
mod link;
mod next;
mod organisation;
pub mod page;
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
mod webhooks;
mod workloads;

pub(crate) use consent::show as consent_page;
pub use failure::PageError;
pub use form::SignedForm;
pub use page::{Page, PageContext};
pub use session::SignedIn;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::front::Front;
use crate::unknown;

/// The pages of sign-in, consent, agents, money and events.
pub fn router(front: Front) -> Router {
    Router::new()
        .route("/", get(home::get))
        .route("/sign-in", get(sign_in::get).post(sign_in::post))
        .route("/sign-in/code", get(sign_in::code_get).post(sign_in::code_post))
        .route("/sign-in/passkey", post(sign_in::passkey_post))
        .route("/sign-in/prove", post(sso::prove))
        .route("/sign-in/sso/{name}", post(sso::begin))
        .route("/sign-in/sso/{name}/callback", get(sso::callback))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/step-up", get(step_up::get))
        .route("/step-up/mail", post(step_up::mail))
        .route("/step-up/code", post(step_up::code))
        .route("/step-up/passkey", post(step_up::passkey))
        .route("/step-up/app", post(step_up::app))
        .route("/step-up/sso", post(step_up::sso))
        .route("/step-up/recovery", post(step_up::recovery))
        .route("/step-up/recovery/mail", post(step_up::recovery_mail))
        .route("/step-up/recovery/code", post(step_up::recovery_code))
        .route("/security", get(security::get))
        .route("/security/passkeys", get(security::passkey_new).post(security::passkey_add))
        .route("/security/passkeys/{id}/remove", post(security::passkey_remove))
        .route("/security/app", post(security::app_begin))
        .route("/security/app/confirm", post(security::app_confirm))
        .route("/security/app/remove", post(security::app_remove))
        .route("/security/email", post(security::email_begin))
        .route("/security/email/confirm", post(security::email_confirm))
        .route("/security/sso/{name}/link", post(security::sso_link))
        .route("/security/sso/{id}/unlink", post(security::sso_unlink))
        .route("/security/sessions/end", post(security::sessions_end))
        .route("/security/undo", get(security::undo_get).post(security::undo_post))
        .route("/device", get(consent::get).post(consent::post))
        .route("/device/sign-on", post(consent::sign_on))
        .route("/device/done", get(consent::done))
        .route("/terms", get(terms::get).post(terms::accept))
        .route("/terms/export", get(terms::export))
        .route("/terms/{sha256}", get(consent::terms))
        .route("/agents", get(agents::get))
        .route("/agents/{id}/freeze", post(agents::freeze))
        .route("/agents/{id}/thaw", post(agents::thaw))
        .route("/grants/{id}/revoke", post(agents::revoke))
        .route("/revoke", get(revoke::get).post(revoke::post))
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", get(approvals::get).post(approvals::decide))
        .route("/applications", get(applications::get))
        .route("/applications/end", post(applications::end))
        .route("/applications/remove", post(applications::remove))
        .route("/workloads", get(workloads::get).post(workloads::add))
        .route("/workloads/{id}/remove", post(workloads::remove))
        .route("/limits", get(limits::get).post(limits::post))
        .route("/limits/ceilings", post(limits::ceiling_post))
        .route("/limits/zone", post(limits::zone_post))
        .route("/limits/budgets", post(budgets::post))
        .route("/limits/budgets/{id}/remove", post(budgets::remove))
        .route("/alerts", get(alerts::get))
        .route("/webhooks", get(webhooks::get).post(webhooks::add))
        .route("/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/webhooks/{id}/test", post(webhooks::test))
        .route("/webhooks/{id}/remove", post(webhooks::remove))
        .route("/card", get(card::get).post(card::begin))
        .route("/card/set-up/{id}", get(card::back))
        .route("/card/{id}/confirm", post(card::confirm))
        .route("/card/{id}/remove", post(card::remove))
        .route("/card/{id}/lift", post(card::lift))
        .route("/confirm/{charge}", get(confirm::get).post(confirm::post))
        .route("/confirm/{charge}/back", get(confirm::back))
        .merge(sandbox::routes())
        .route("/link/{request}", get(link::get))
        .route("/link/{request}/information", post(link::inform))
        .route("/link/callback/{provider}", get(link::callback))
        .route("/spend", get(spend::get))
        .route("/spend.csv", get(spend::csv))
        .route("/events", get(events::get))
        .route("/organisation", get(organisation::get))
        .route("/organisation/create", post(organisation::create))
        .route("/organisation/rename", post(organisation::rename))
        .route("/organisation/switch", post(organisation::switch))
        .route("/organisation/leave", post(organisation::leave))
        .route("/organisation/invitations", post(organisation::invite))
        .route("/organisation/invitations/{id}/revoke", post(organisation::invitation_revoke))
        .route("/organisation/members/{id}", get(organisation::member))
        .route("/organisation/members/{id}/role", post(organisation::role))
        .route("/organisation/members/{id}/remove", post(organisation::remove))
        .route("/invitation", get(invitation::get).post(invitation::post))
        .route("/bootstrap", get(bootstrap::get))
        .route("/style.css", get(style::get))
        .route("/passkey.js", get(script::get))
        .method_not_allowed_fallback(unknown::method)
        .layer(from_fn_with_state(front.clone(), failure::render))
        .with_state(front)
}
