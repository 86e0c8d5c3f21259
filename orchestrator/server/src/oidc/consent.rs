//! `/oauth/consent`: what the person is asked before a client learns who they are, and where their answer goes.
//!
//! A request for an agent's grant is decided on the page that all grants are decided on; this one only brings the answer back.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use purser_authority::action::AuthorizationDecide;
use purser_authority::{Attempt, Facts, authorise};
use purser_http::extract::Query;
use purser_identity::authorization::{
    Asked, Choice, DecideError, Pending, Refusal, authorization_decide, authorization_find, authorization_refuse, consent,
};
use purser_identity::client::{RedirectUri, Trust};
use purser_identity::grant_request::{State as RequestState, by_id};
use purser_identity::scope::{EMAIL, OFFLINE};
use purser_identity::session::Session;
use purser_identity::token::id_token_hint;
use purser_provisioning::perform;
use purser_values::Sha256Digest;
use purser_values::id::AuthorizationId;
use serde::Deserialize;

use crate::console::consent_page;
use crate::console::page::{POLICY, Page, PageContext};
use crate::console::{PageError, SignedForm, SignedIn, browser};
use crate::front::Front;

#[derive(Template)]
#[template(path = "authorize.html")]
struct ConsentPage {
    ctx: PageContext,
    request: String,
    client: String,
    /// Whether the operator of this installation answers for the name.
    known: bool,
    /// Where the client lives, when its name is a URL.
    lives: Option<String>,
    /// Where the answer goes.
    goes_to: String,
    local: bool,
    email: bool,
    offline: bool,
}

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage {
    ctx: PageContext,
    to: String,
    goes_to: String,
}

#[derive(Deserialize)]
pub struct Which {
    request: String,
}

/// The path of the page for one request.
pub fn path(id: &AuthorizationId) -> String {
    format!("/oauth/consent?request={id}")
}

pub async fn get(
    State(front): State<Front>,
    SignedIn(session): SignedIn,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Result<Response, PageError> {
    let (pending, browser) = find(&front, &headers, &which.request).await?;
    let now = front.realm.env.now();
    if !pending.accepts_sign_in_at(session.signed_in_at, now) {
        return Ok(sign_in_again(&pending));
    }
    if !is_the_one_meant(&front, &pending.asked, &session) {
        if session.signed_in_at < pending.created_at {
            return Ok(sign_in_again(&pending));
        }
        return refuse(&front, &pending, &browser, Pending::login_required()).await;
    }
    if let Some(id) = pending.grant_request.clone() {
        let request = front.core.db.read(move |tx| by_id(tx, &id, now)).await?.ok_or_else(PageError::not_found)?;
        if request.state == RequestState::Pending {
            return consent_page(&front, &session, &request, None, None).await;
        }
        let to = answer(&front, &session, &pending, &browser, Choice::Accept).await?;
        return Ok(leave(&front, &session, to, &pending.asked.redirect_uri));
    }
    if !pending.asked.prompt.consent && is_remembered(&front, &session, &pending).await? {
        return decide(&front, &session, &pending, &browser, Choice::Accept).await;
    }
    show(&front, &session, &pending).await
}

#[derive(Deserialize)]
pub struct Decision {
    request: String,
    decision: String,
}

pub async fn post(State(front): State<Front>, headers: HeaderMap, signed: SignedForm<Decision>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (pending, browser) = find(&front, &headers, &form.request).await?;
    let choice = match form.decision.as_str() {
        "accept" => Choice::Accept,
        "deny" => Choice::Deny,
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Accept or Deny")),
    };
    let fits =
        pending.accepts_sign_in_at(session.signed_in_at, front.realm.env.now()) && is_the_one_meant(&front, &pending.asked, &session);
    if choice == Choice::Accept && !fits {
        return Ok(Redirect::to(&path(&pending.id)).into_response());
    }
    decide(&front, &session, &pending, &browser, choice).await
}

/// The answer of a request that may show nothing: the address with the code, or why there is none.
pub async fn silently(
    front: &Front,
    pending: &Pending,
    session: Option<Session>,
    browser: &Sha256Digest,
) -> Result<Result<String, Refusal>, PageError> {
    let now = front.realm.env.now();
    let fits = |s: &Session| pending.accepts_sign_in_at(s.signed_in_at, now) && is_the_one_meant(front, &pending.asked, s);
    let Some(session) = session.filter(fits) else { return Ok(Err(Pending::login_required())) };
    if pending.grant_request.is_some() {
        return Ok(Err(Refusal::new("interaction_required", "a grant is decided by the person, each time")));
    }
    if !is_remembered(front, &session, pending).await? {
        return Ok(Err(Refusal::new("consent_required", "the person has not allowed this yet")));
    }
    Ok(Ok(answer(front, &session, pending, browser, Choice::Accept).await?))
}

async fn find(front: &Front, headers: &HeaderMap, id: &str) -> Result<(Pending, Sha256Digest), PageError> {
    let id: AuthorizationId = id.parse().map_err(|_| DecideError::Over)?;
    let browser = browser::known(front, headers).ok_or(DecideError::Over)?;
    let now = front.realm.env.now();
    let found = front.core.db.read(move |tx| authorization_find(tx, &id, &browser, now)).await?;
    Ok((found.ok_or(DecideError::Over)?, browser))
}

async fn decide(
    front: &Front,
    session: &Session,
    pending: &Pending,
    browser: &Sha256Digest,
    choice: Choice,
) -> Result<Response, PageError> {
    Ok(Redirect::to(&answer(front, session, pending, browser, choice).await?).into_response())
}

async fn answer(
    front: &Front,
    session: &Session,
    pending: &Pending,
    browser: &Sha256Digest,
    choice: Choice,
) -> Result<String, DecideError> {
    let (realm, session, id, browser) = (front.realm.clone(), session.clone(), pending.id.clone(), *browser);
    let caller = session.caller();
    let attempt = Attempt::new("authorization_decide", &caller, id.as_str());
    let answered = perform(&front.core, attempt, move |tx| {
        let permit = authorise::<AuthorizationDecide>(&caller, &Facts::new(realm.env.now(), id.as_str()))?;
        authorization_decide(tx, &realm, &permit, &browser, &session, choice)
    });
    Ok(answered.await?.location)
}

async fn refuse(front: &Front, pending: &Pending, browser: &Sha256Digest, refusal: Refusal) -> Result<Response, PageError> {
    let (realm, id, browser) = (front.realm.clone(), pending.id.clone(), *browser);
    let attempt = Attempt::new("authorization_decide", &purser_authority::Caller::Anonymous, id.as_str());
    let refused = perform(&front.core, attempt, move |tx| authorization_refuse(tx, &realm, &id, &browser, &refusal));
    Ok(Redirect::to(&refused.await?.location).into_response())
}

async fn is_remembered(front: &Front, session: &Session, pending: &Pending) -> Result<bool, PageError> {
    let (person, asked) = (session.member.person.id.clone(), pending.asked.clone());
    Ok(front.core.db.read(move |tx| consent::is_remembered(tx, &person, &asked)).await?)
}

/// Whether the client meant this person, where it says whom it means.
fn is_the_one_meant(front: &Front, asked: &Asked, session: &Session) -> bool {
    let Some(hint) = &asked.id_token_hint else { return true };
    id_token_hint(&front.realm, hint).is_some_and(|claims| claims.aud == asked.client.as_str() && claims.sub == session.member.person.id)
}

fn sign_in_again(pending: &Pending) -> Response {
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("again", "1").append_pair("next", &path(&pending.id)).finish();
    Redirect::to(&format!("/sign-in?{query}")).into_response()
}

async fn show(front: &Front, session: &Session, pending: &Pending) -> Result<Response, PageError> {
    let asked = &pending.asked;
    let client = front.clients.find(&front.core.db, front.realm.env.now(), &asked.client).await?;
    let page = ConsentPage {
        ctx: PageContext::of(front, session, "Sign on with this application?"),
        request: pending.id.to_string(),
        client: asked.client_name.clone(),
        known: client.trust == Trust::Operator,
        lives: asked.client.is_url().then(|| asked.client.to_string()),
        goes_to: asked.redirect_uri.shown(),
        local: asked.redirect_uri.is_local(),
        email: asked.scope.contains(EMAIL),
        offline: asked.scope.contains(OFFLINE),
    };
    Ok(with_form_target(Page::ok(page).into_response(), &asked.redirect_uri))
}

/// A page that goes on by itself. The person comes from a form of another page, and browsers hold a redirect after a form to that
/// page's policy.
fn leave(front: &Front, session: &Session, to: String, redirect_uri: &RedirectUri) -> Response {
    Page::ok(LeavePage { ctx: PageContext::of(front, session, "Going back"), to, goes_to: redirect_uri.shown() }).into_response()
}

/// Lets the form of a page lead to the client: browsers hold the redirect after a form to the page's policy too.
pub fn with_form_target(mut response: Response, redirect_uri: &RedirectUri) -> Response {
    let policy = POLICY.replace("form-action 'self'", &format!("form-action 'self' {}", redirect_uri.form_source()));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
