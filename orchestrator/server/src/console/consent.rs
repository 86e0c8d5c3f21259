//! `/device`: the one page on which a person lets an agent act, a terminal of their own in, or an application on a device know them.

mod decide;
mod sign_on;
mod view;

pub use decide::{done, post};
pub use sign_on::post as sign_on;
pub use view::{get, show};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use purser_authority::action::PaymentMethodSet;
use purser_identity::session::Session;
use purser_identity::terms::terms_body;
use purser_spend::rail::sandbox;
use purser_values::Sha256Digest;

use super::failure::PageError;
use super::session::SignedIn;
use crate::front::Front;
use crate::membership::could;

/// Whether the person may put one of the sandbox's cards on file while accepting: a member may let agents act, and brings no card.
fn may_add_card(front: &Front, session: &Session) -> bool {
    front.rails.main() == Some(sandbox::NAME) && could::<PaymentMethodSet>(&session.caller())
}

/// `/terms/{sha256}`: the kept bytes of a terms document, as text that cannot run anything.
pub async fn terms(State(front): State<Front>, _: SignedIn, Path(sha256): Path<String>) -> Result<Response, PageError> {
    let sha256: Sha256Digest = sha256.parse().map_err(|_| PageError::not_found())?;
    let body = front.core.db.read(move |tx| terms_body(tx, &sha256)).await?.ok_or_else(PageError::not_found)?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("content-security-policy"), HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(response)
}
