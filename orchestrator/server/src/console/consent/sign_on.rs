//! A registered client on a device without a browser: what the person is asked, and their answer.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::AuthorizationDecide;
use purser_authority::{Attempt, Facts, authorise};
use purser_identity::authorization::device::{DeviceSignOn, device_sign_on, device_sign_on_decide};
use purser_identity::authorization::{Choice, DecideError};
use purser_identity::client::Trust;
use purser_identity::grant_request::UserCode;
use purser_identity::scope::{EMAIL, OFFLINE};
use purser_identity::session::Session;
use purser_provisioning::perform;
use purser_values::id::AuthorizationId;
use serde::Deserialize;

use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::page::{Page, PageContext};
use crate::front::Front;

#[derive(Template)]
#[template(path = "device_sign_on.html")]
struct SignOnPage {
    ctx: PageContext,
    request: String,
    user_code: String,
    /// Whether the person types the code, instead of comparing it.
    typed: bool,
    client: String,
    /// Whether the operator of this installation answers for the name.
    known: bool,
    /// Where the client lives, when its name is a URL.
    lives: Option<String>,
    peer: String,
    at: String,
    email: bool,
    offline: bool,
    wrong: Option<&'static str>,
}

/// The page for one pending request; `wrong` says why an earlier decision was not taken.
pub async fn show(front: &Front, session: &Session, request: &DeviceSignOn, wrong: Option<&'static str>) -> Result<Response, PageError> {
    let (now, asked) = (front.realm.env.now(), &request.asked);
    if !request.accepts_sign_in_at(session.signed_in_at, now) {
        return Ok(sign_in_again(request));
    }
    let client = front.clients.find(&front.core.db, now, &asked.client).await?;
    let page = SignOnPage {
        ctx: PageContext::of(front, session, "Sign on with this application?"),
        request: request.id.to_string(),
        user_code: request.user_code.to_string(),
        typed: !front.sandbox,
        client: asked.client_name.clone(),
        known: client.trust == Trust::Operator,
        lives: asked.client.is_url().then(|| asked.client.to_string()),
        peer: request.peer.clone(),
        at: request.created_at.for_people(),
        email: asked.scope.contains(EMAIL),
        offline: asked.scope.contains(OFFLINE),
        wrong,
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Page(status, page).into_response())
}

#[derive(Deserialize)]
pub struct Decision {
    request: String,
    user_code: Option<String>,
    decision: Option<String>,
}

pub async fn post(State(front): State<Front>, signed: SignedForm<Decision>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let now = front.realm.env.now();
    let id: AuthorizationId = form.request.parse().map_err(|_| PageError::not_found())?;
    let look = id.clone();
    let request = front.core.db.read(move |tx| device_sign_on(tx, &look, now)).await?.ok_or_else(PageError::not_found)?;
    if !request.is_pending() {
        return Err(PageError::new(StatusCode::CONFLICT, "request_decided", "this request was decided before, or has run out"));
    }
    let choice = match form.decision.as_deref() {
        Some("accept") => Choice::Accept,
        Some("deny") => Choice::Deny,
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Accept or Deny")),
    };
    if choice == Choice::Accept {
        let code = form.user_code.and_then(|text| text.parse::<UserCode>().ok());
        if code.as_ref() != Some(&request.user_code) {
            return show(&front, &session, &request, Some("the code is not the one that the device shows")).await;
        }
        if !request.accepts_sign_in_at(session.signed_in_at, now) {
            return Ok(sign_in_again(&request));
        }
    }
    decide(&front, session.clone(), id, choice).await?;
    front.decisions.ring();
    let what = if choice == Choice::Accept { "signed-on" } else { "denied" };
    Ok(super::decide::to_done(&front, &session, what))
}

async fn decide(front: &Front, session: Session, id: AuthorizationId, choice: Choice) -> Result<(), DecideError> {
    let (realm, caller) = (front.realm.clone(), session.caller());
    let attempt = Attempt::new("authorization_decide", &caller, id.as_str());
    perform(&front.core, attempt, move |tx| {
        let permit = authorise::<AuthorizationDecide>(&caller, &Facts::new(realm.env.now(), id.as_str()))?;
        device_sign_on_decide(tx, &realm, &permit, &session, choice)
    })
    .await
}

fn sign_in_again(request: &DeviceSignOn) -> Response {
    let next = format!("/device?user_code={}", request.user_code);
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("again", "1").append_pair("next", &next).finish();
    Redirect::to(&format!("/sign-in?{query}")).into_response()
}
