//! Signing in: an address, then the code that was mailed to it.

use std::net::SocketAddr;

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use purser_http::extract::Query;
use purser_values::limits::{SESSION_LIFE_S, SIGN_IN_CODE_LIFE_S};
use purser_values::name::Email;
use serde::Deserialize;
use slipway_accounts::limits::KNOWN_BROWSER_LIFE_S;
use slipway_accounts::session::session_end;
use slipway_accounts::sign_in::code_send::{Origin, sign_in_code_send};
use slipway_accounts::sign_in::code_use::{CodeUse, CodeUseError, sign_in_code_use};

use super::failure::PageError;
use super::form::{OpenForm, SignedForm, browser, open_token};
use super::page::{Page, PageContext};
use super::{cookie, next, session};
use crate::cloud::{Cloud, Shared};

#[derive(Deserialize)]
pub struct To {
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct EmailPage {
    ctx: PageContext,
    next: String,
    email: String,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage {
    ctx: PageContext,
    next: String,
    wrong: Option<String>,
}

pub async fn get(State(cloud): State<Shared>, Query(to): Query<To>, headers: HeaderMap) -> Result<Response, PageError> {
    let next = next::safe(to.next.as_deref()).to_owned();
    // Whoever is signed in recently goes on; an old sign-in is made anew, because something asked for it.
    if session::find(&cloud, &headers).await?.is_some_and(|s| s.is_recent(cloud.env.now())) {
        return Ok(Redirect::to(&next).into_response());
    }
    Ok(email_page(&cloud, &headers, next, String::new(), None))
}

#[derive(Deserialize)]
pub struct EmailForm {
    email: String,
    next: Option<String>,
}

pub async fn post(
    State(cloud): State<Shared>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    OpenForm(form): OpenForm<EmailForm>,
) -> Result<Response, PageError> {
    let next = next::safe(form.next.as_deref()).to_owned();
    let email: Email = match form.email.parse() {
        Ok(email) => email,
        Err(e) => return Ok(email_page(&cloud, &headers, next, form.email, Some(format!("{e}")))),
    };
    let peer = match connection {
        Some(Extension(ConnectInfo(address))) => cloud.proxies.client(address.ip(), &headers).to_string(),
        None => "unknown".to_owned(),
    };
    let (realm, mark) = (cloud.realm.clone(), cookie::read(&cloud, &headers, cookie::KNOWN));
    let attempt = cloud.db.write(move |tx| {
        let origin = Origin { peer: &peer, mark: mark.as_ref().map(|mark| mark.expose().as_str()) };
        sign_in_code_send(tx, &realm, &email, origin)
    });
    let attempt = attempt.await?;
    cloud.wake_jobs.notify_one();
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
    let mut response = Redirect::to(&format!("/sign-in/code?{query}")).into_response();
    put(&mut response, cookie::set(&cloud, cookie::ATTEMPT, attempt.expose(), SIGN_IN_CODE_LIFE_S));
    Ok(response)
}

pub async fn code_get(State(cloud): State<Shared>, Query(to): Query<To>, headers: HeaderMap) -> Response {
    code_page(&cloud, &headers, next::safe(to.next.as_deref()), None, StatusCode::OK)
}

#[derive(Deserialize)]
pub struct CodeForm {
    code: String,
    next: Option<String>,
}

pub async fn code_post(State(cloud): State<Shared>, headers: HeaderMap, OpenForm(form): OpenForm<CodeForm>) -> Result<Response, PageError> {
    let next = next::safe(form.next.as_deref()).to_owned();
    let attempt = cookie::read(&cloud, &headers, cookie::ATTEMPT).ok_or(CodeUseError::NoAttempt)?;
    let (realm, old) = (cloud.realm.clone(), cookie::read(&cloud, &headers, cookie::SESSION));
    let used = cloud.db.write(move |tx| {
        let old = old.as_ref().map(|old| old.expose().as_str());
        sign_in_code_use(tx, &realm, &attempt, &form.code, old)
    });
    match used.await {
        Ok(CodeUse::SignedIn(signed_in)) => {
            let mut response = Redirect::to(&next).into_response();
            put(&mut response, cookie::set(&cloud, cookie::SESSION, signed_in.session.expose(), SESSION_LIFE_S));
            put(&mut response, cookie::set(&cloud, cookie::KNOWN, signed_in.mark.expose(), KNOWN_BROWSER_LIFE_S));
            put(&mut response, cookie::clear(&cloud, cookie::ATTEMPT));
            Ok(response)
        }
        Ok(CodeUse::Wrong { tries_left }) => {
            let wrong = format!("that is not the code; {tries_left} more tries");
            Ok(code_page(&cloud, &headers, &next, Some(wrong), StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(e @ CodeUseError::NotACode) => Ok(code_page(&cloud, &headers, &next, Some(e.to_string()), StatusCode::UNPROCESSABLE_ENTITY)),
        Err(e) => Err(e.into()),
    }
}

pub async fn sign_out(State(cloud): State<Shared>, headers: HeaderMap, signed: SignedForm<To>) -> Result<Response, PageError> {
    let now = cloud.env.now();
    if let Some(cookie) = cookie::read(&cloud, &headers, cookie::SESSION) {
        cloud.db.write(move |tx| session_end(tx, now, cookie.expose())).await?;
    }
    let mut response = Redirect::to(next::safe(signed.form.next.as_deref())).into_response();
    put(&mut response, cookie::clear(&cloud, cookie::SESSION));
    Ok(response)
}

fn email_page(cloud: &Cloud, headers: &HeaderMap, next: String, email: String, wrong: Option<String>) -> Response {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (ctx, set) = context(cloud, headers);
    let mut response = Page::with(status, EmailPage { ctx, next, email, wrong }).into_response();
    put(&mut response, set);
    response
}

fn code_page(cloud: &Cloud, headers: &HeaderMap, next: &str, wrong: Option<String>, status: StatusCode) -> Response {
    let (ctx, set) = context(cloud, headers);
    let mut response = Page::with(status, CodePage { ctx, next: next.to_owned(), wrong }).into_response();
    put(&mut response, set);
    response
}

fn context(cloud: &Cloud, headers: &HeaderMap) -> (PageContext, Option<HeaderValue>) {
    let (browser, set) = browser(cloud, headers);
    (PageContext { csrf: open_token(cloud, &browser), ..PageContext::anonymous(cloud, "Sign in") }, set)
}

fn put(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
