//! Signing in: an address, then the code that was mailed to it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use purser_authority::action::SignIn;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_http::extract::Query;
use purser_identity::limits::KNOWN_BROWSER_LIFE_S;
use purser_identity::passkey::{AssertionAnswer, PasskeyError, sign_in_options, sign_in_passkey};
use purser_identity::session::Place;
use purser_identity::sign_in::{CodeSendError, CodeUse, CodeUseError, Origin, SignedIn, sign_in_code_send, sign_in_code_use};
use purser_identity::sso::Connection;
use purser_provisioning::perform;
use purser_values::limits::{SESSION_LIFE_S, SIGN_IN_CODE_LIFE_S};
use purser_values::name::Email;
use serde::Deserialize;

use super::failure::PageError;
use super::form::{OpenForm, SignedForm, browser, open_token};
use super::named::capitalised;
use super::page::{Page, PageContext};
use super::tries::wrong_code;
use super::{cookie, next, script, session, signed_out, sso};
use crate::front::Front;
use crate::peer::Peer;
use crate::sso::Account;

#[derive(Deserialize)]
pub struct To {
    next: Option<String>,
    /// Sign in anew, although somebody is signed in: a client asked for it.
    again: Option<String>,
    /// The address that is expected: it is in the field already.
    email: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct EmailPage {
    ctx: PageContext,
    next: String,
    email: String,
    wrong: Option<String>,
    /// What a passkey is asked for with.
    options: String,
    companies: Vec<Company>,
}

/// A company through which people sign in.
pub struct Company {
    pub name: String,
    pub label: String,
}

impl From<&Connection> for Company {
    fn from(connection: &Connection) -> Self {
        Self { name: connection.name.to_string(), label: connection.label.clone() }
    }
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage {
    ctx: PageContext,
    next: String,
    wrong: Option<String>,
    /// Whether the code allows no further try.
    over: bool,
}

pub async fn get(State(front): State<Front>, Query(to): Query<To>, headers: HeaderMap) -> Result<Response, PageError> {
    let next = next::safe(to.next.as_deref()).to_owned();
    if to.again.is_none() && session::find(&front, &headers).await?.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    let expected = to.email.filter(|email| email.parse::<Email>().is_ok()).unwrap_or_default();
    Ok(email_page(&front, &headers, next, expected, None))
}

#[derive(Deserialize)]
pub struct EmailForm {
    email: String,
    next: Option<String>,
}

pub async fn post(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm<EmailForm>,
) -> Result<Response, PageError> {
    let next = next::safe(form.next.as_deref()).to_owned();
    let email: Email = match form.email.parse() {
        Ok(email) => email,
        Err(e) => return Ok(email_page(&front, &headers, next, form.email, Some(format!("{e}")))),
    };
    if let Some(connection) = front.realm.sso.required_for(&email) {
        return sso::leave_for(&front, &headers, peer, connection, next, Account::Of(email.as_str())).await;
    }
    let (realm, mark, ticket) = (front.realm.clone(), cookie::read(&front, &headers, cookie::KNOWN), next::ticket(&next));
    let sent = perform(&front.core, Attempt::new("sign_in", &Caller::Anonymous, email.as_str()), move |tx| {
        let permit =
            authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), email.as_str())).map_err(|_| CodeSendError::TooMany)?;
        let origin = Origin { peer: &peer, mark: mark.as_ref().map(|mark| mark.expose().as_str()), ticket: ticket.as_ref() };
        sign_in_code_send(tx, &realm, permit, &email, origin)
    })
    .await?;
    let mut response = to_code(&next);
    put(&mut response, cookie::set(&front, cookie::ATTEMPT, sent.attempt.expose(), SIGN_IN_CODE_LIFE_S));
    Ok(response)
}

pub async fn code_get(State(front): State<Front>, Query(to): Query<To>, headers: HeaderMap) -> Response {
    code_page(&front, &headers, next::safe(to.next.as_deref()), None, false)
}

#[derive(Deserialize)]
pub struct CodeForm {
    code: String,
    next: Option<String>,
}

pub async fn code_post(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm<CodeForm>,
) -> Result<Response, PageError> {
    let next = next::safe(form.next.as_deref()).to_owned();
    let Some(attempt) = cookie::read(&front, &headers, cookie::ATTEMPT) else { return Err(CodeUseError::NoAttempt.into()) };
    let (realm, replaces, ticket) = (front.realm.clone(), cookie::read(&front, &headers, cookie::SESSION), next::ticket(&next));
    let browser = browser_name(&headers);
    let used = perform(&front.core, Attempt::new("sign_in", &Caller::Anonymous, ""), move |tx| {
        let permit = authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), "")).map_err(|_| CodeUseError::NoAttempt)?;
        let (browser, replaces) = (browser.as_deref(), replaces.as_ref().map(|cookie| cookie.expose().as_str()));
        sign_in_code_use(tx, &realm, permit, &attempt, &form.code, Place { peer: Some(&peer), browser, replaces }, ticket.as_ref())
    })
    .await;
    match used {
        Ok(CodeUse::SignedIn(signed_in)) => Ok(let_in(&front, &signed_in, &next)),
        Ok(CodeUse::Wrong { tries_left }) => Ok(code_page(&front, &headers, &next, Some(wrong_code(tries_left)), tries_left <= 0)),
        Err(e @ CodeUseError::NotACode(_)) => Ok(code_page(&front, &headers, &next, Some(capitalised(&e.to_string())), false)),
        Err(e) => Err(e.into()),
    }
}

#[derive(Deserialize)]
pub struct PasskeyForm {
    answer: String,
    next: Option<String>,
}

/// `/sign-in/passkey`.
pub async fn passkey_post(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm<PasskeyForm>,
) -> Result<Response, PageError> {
    let next = next::safe(form.next.as_deref()).to_owned();
    let asked = cookie::read(&front, &headers, cookie::FORM).ok_or(PasskeyError::Over)?;
    let answer: AssertionAnswer = form.answer.parse().map_err(PasskeyError::from)?;
    let (realm, replaces) = (front.realm.clone(), cookie::read(&front, &headers, cookie::SESSION));
    let browser = browser_name(&headers);
    let signed_in = perform(&front.core, Attempt::new("sign_in", &Caller::Anonymous, ""), move |tx| {
        let permit = authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), "passkey"))?;
        let replaces = replaces.as_ref().map(|cookie| cookie.expose().as_str());
        let place = Place { peer: Some(&peer), browser: browser.as_deref(), replaces };
        sign_in_passkey(tx, &realm, permit, asked.expose(), &answer, place)
    })
    .await?;
    Ok(let_in(&front, &signed_in, &next))
}

pub(super) fn browser_name(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

pub(super) fn let_in(front: &Front, signed_in: &SignedIn, next: &str) -> Response {
    // Where the link that led here is used up, the page behind it has nothing to say any more.
    let on = if signed_in.by_ticket { "/organisation" } else { next };
    let mut response = Redirect::to(on).into_response();
    put(&mut response, cookie::set(front, cookie::SESSION, signed_in.session.expose(), SESSION_LIFE_S));
    put(&mut response, cookie::set(front, cookie::KNOWN, signed_in.mark.expose(), KNOWN_BROWSER_LIFE_S));
    put(&mut response, cookie::clear(front, cookie::ATTEMPT));
    response
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn sign_out(State(front): State<Front>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let company = signed_out::end(&front, signed.session).await?;
    let mut response = match company {
        Some(company) => signed_out::page(&front, Some(company)),
        None => Redirect::to("/sign-in").into_response(),
    };
    put(&mut response, cookie::clear(&front, cookie::SESSION));
    Ok(response)
}

fn email_page(front: &Front, headers: &HeaderMap, next: String, email: String, wrong: Option<String>) -> Response {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (browser, set) = browser(front, headers);
    let mut ctx = PageContext::anonymous(front, "Sign in");
    ctx.csrf = open_token(front, &browser);
    let options = sign_in_options(&front.realm, &browser).to_string();
    let companies = front.realm.sso.iter().map(Company::from).collect();
    let mut response = Page(status, EmailPage { ctx, next, email, wrong, options, companies }).into_response();
    put(&mut response, set);
    script::allow(front, response)
}

fn code_page(front: &Front, headers: &HeaderMap, next: &str, wrong: Option<String>, over: bool) -> Response {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (browser, set) = browser(front, headers);
    let mut ctx = PageContext::anonymous(front, "Sign in");
    ctx.csrf = open_token(front, &browser);
    let mut response = Page(status, CodePage { ctx, next: next.to_owned(), wrong, over }).into_response();
    put(&mut response, set);
    response
}

fn to_code(next: &str) -> Response {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    Redirect::to(&format!("/sign-in/code?{query}")).into_response()
}

pub(super) fn put(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
