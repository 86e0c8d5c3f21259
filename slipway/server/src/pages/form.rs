//! Forms: a change is only taken from a form of ours, in the browser that it was shown to.
//!
//! Two walls: the token in the form, which depends on the session (or, before sign-in, on a cookie of the browser), and the
//! `Origin` and `Sec-Fetch-Site` headers where the browser sends them.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use purser_crypto::{constant_time_eq, encoding};
use purser_http::extract::Raw;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use slipway_accounts::session::Session;

use super::cookie;
use super::failure::PageError;
use super::session;
use crate::cloud::{Cloud, Shared};

/// Characters of the cookie of a browser that is not signed in: 32 bytes in base64url.
const BROWSER_CHARS: usize = 43;
const BROWSER_LIFE_S: i64 = 86_400;

/// A form of a signed-in person whose token was checked.
#[derive(Debug)]
pub struct SignedForm<T> {
    pub session: Session,
    pub form: T,
}

/// A form of somebody who is not signed in, whose token was checked against the browser's cookie.
#[derive(Debug)]
pub struct OpenForm<T>(pub T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Shared> for SignedForm<T> {
    type Rejection = PageError;
    async fn from_request(request: Request, cloud: &Shared) -> Result<Self, PageError> {
        refuse_other_sites(cloud, request.headers())?;
        // a form that was sent cannot be sent again after sign-in: the person starts from the front
        let found = session::find(cloud, request.headers()).await?;
        let session = found.ok_or_else(|| PageError::SignIn { next: "/connections".to_owned() })?;
        let body = read(request).await?;
        let token: Token = parse(&body)?;
        if !session.csrf_matches(&cloud.realm.key, &token.csrf) {
            return Err(forged());
        }
        Ok(Self { session, form: parse(&body)? })
    }
}

impl<T: DeserializeOwned> FromRequest<Shared> for OpenForm<T> {
    type Rejection = PageError;
    async fn from_request(request: Request, cloud: &Shared) -> Result<Self, PageError> {
        refuse_other_sites(cloud, request.headers())?;
        let browser = cookie::read(cloud, request.headers(), cookie::FORM).ok_or_else(forged)?;
        let body = read(request).await?;
        let token: Token = parse(&body)?;
        if !constant_time_eq(open_token(cloud, browser.expose()).as_bytes(), token.csrf.as_bytes()) {
            return Err(forged());
        }
        Ok(Self(parse(&body)?))
    }
}

/// The form token of a browser that is not signed in.
pub fn open_token(cloud: &Cloud, browser: &str) -> String {
    encoding::b64url(&cloud.realm.key.mac("form-csrf", &[browser]))
}

/// The browser's cookie for forms before sign-in: the one it has, or a fresh one that must be set.
pub fn browser(cloud: &Cloud, headers: &HeaderMap) -> (String, Option<HeaderValue>) {
    match cookie::read(cloud, headers, cookie::FORM).filter(|v| v.expose().len() == BROWSER_CHARS) {
        Some(value) => (value.expose().clone(), None),
        None => {
            let value = encoding::b64url(&cloud.env.bytes::<32>());
            let header = cookie::set(cloud, cookie::FORM, &value, BROWSER_LIFE_S);
            (value, header)
        }
    }
}

async fn read(request: Request) -> Result<Vec<u8>, PageError> {
    let unreadable = |_| PageError::new(StatusCode::BAD_REQUEST, "invalid_request", "the form cannot be read");
    let Raw(body) = Raw::from_request(request, &()).await.map_err(unreadable)?;
    Ok(body.to_vec())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PageError> {
    let other = |_| PageError::new(StatusCode::BAD_REQUEST, "invalid_request", "the form is not the one that this page sends");
    serde_urlencoded::from_bytes(body).map_err(other)
}

fn refuse_other_sites(cloud: &Cloud, headers: &HeaderMap) -> Result<(), PageError> {
    let text = |name| headers.get(name).map(|v: &HeaderValue| v.to_str().unwrap_or("null"));
    let own = cloud.public_url.origin().ascii_serialization();
    let origin_ok = text(header::ORIGIN).is_none_or(|origin| origin == own);
    let site_ok = text(http::HeaderName::from_static("sec-fetch-site")).is_none_or(|site| matches!(site, "same-origin" | "none"));
    if origin_ok && site_ok { Ok(()) } else { Err(forged()) }
}

fn forged() -> PageError {
    let text = "the form did not come from a page of ours in this browser; go back, load the page again and send the form once more";
    PageError::new(StatusCode::FORBIDDEN, "form_not_ours", text)
}
