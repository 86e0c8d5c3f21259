//! Forms: a change is only taken from a form of ours, in the browser that it was shown to.
//!
//! Two walls: the token in the form, which depends on the session (or, before sign-in, on a cookie of the browser), and the
//! `Origin` and `Sec-Fetch-Site` headers where the browser sends them.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use http::{HeaderMap, StatusCode, header};
use purser_crypto::{constant_time_eq, encoding};
use purser_http::extract::Raw;
use purser_identity::session::Session;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::cookie;
use super::failure::PageError;
use super::session::SignedIn;
use crate::front::Front;

/// A form of a signed-in person whose token was checked. `T` may be any struct, or `Vec<(String, String)>` for repeated fields.
#[derive(Debug)]
pub struct SignedForm<T> {
    pub session: Session,
    pub form: T,
}

/// A form of somebody who is not signed in, whose token was checked against the browser's cookie.
#[derive(Debug)]
pub(super) struct OpenForm<T>(pub T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Front> for SignedForm<T> {
    type Rejection = PageError;
    async fn from_request(request: Request, front: &Front) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        refuse_other_sites(front, &parts.headers)?;
        let SignedIn(session) = SignedIn::from_request_parts(&mut parts, front).await?;
        let body = read(Request::from_parts(parts, body)).await?;
        let token: Token = parse(&body)?;
        if !session.csrf_matches(&front.realm.keys, &token.csrf) {
            return Err(forged());
        }
        Ok(Self { session, form: parse(&body)? })
    }
}

impl<T: DeserializeOwned> FromRequest<Front> for OpenForm<T> {
    type Rejection = PageError;
    async fn from_request(request: Request, front: &Front) -> Result<Self, PageError> {
        refuse_other_sites(front, request.headers())?;
        let browser = cookie::read(front, request.headers(), cookie::FORM).ok_or_else(forged)?;
        let body = read(request).await?;
        let token: Token = parse(&body)?;
        let expected = open_token(front, browser.expose());
        if !constant_time_eq(expected.as_bytes(), token.csrf.as_bytes()) {
            return Err(forged());
        }
        Ok(Self(parse(&body)?))
    }
}

/// The form token of a browser that is not signed in.
pub(super) fn open_token(front: &Front, browser: &str) -> String {
    encoding::b64url(&front.realm.keys.mac("form-csrf", &[browser]))
}

/// The browser's cookie for forms before sign-in: the one it has, or a fresh one that must be set.
pub(super) fn browser(front: &Front, headers: &HeaderMap) -> (String, Option<http::HeaderValue>) {
    match cookie::read(front, headers, cookie::FORM).filter(|v| v.expose().len() == 43) {
        Some(value) => (value.expose().clone(), None),
        None => {
            let value = encoding::b64url(&front.realm.env.bytes::<32>());
            let header = cookie::set(front, cookie::FORM, &value, 86_400);
            (value, header)
        }
    }
}

async fn read(request: Request) -> Result<Vec<u8>, PageError> {
    let Raw(body) = Raw::from_request(request, &()).await.map_err(|p| PageError::new(p.status, &p.code, &p.detail))?;
    Ok(body.to_vec())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PageError> {
    serde_urlencoded::from_bytes(body)
        .map_err(|_| PageError::new(StatusCode::BAD_REQUEST, "invalid_body", "the form is not the one that this page sends"))
}

fn refuse_other_sites(front: &Front, headers: &HeaderMap) -> Result<(), PageError> {
    let text = |name| headers.get(name).map(|v: &http::HeaderValue| v.to_str().unwrap_or("-"));
    let site = text(http::HeaderName::from_static("sec-fetch-site"));
    let site_ok = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin_ok = match text(header::ORIGIN) {
        None => true,
        // A browser that hides where a form came from still says that it was here.
        Some("null") => site == Some("same-origin"),
        Some(origin) => origin == &*front.realm.issuer,
    };
    if origin_ok && site_ok { Ok(()) } else { Err(forged()) }
}

fn forged() -> PageError {
    PageError::new(StatusCode::FORBIDDEN, "form_not_ours", "the form did not come from a page of ours in this browser")
        .hint("go back, load the page again and send the form once more")
}
