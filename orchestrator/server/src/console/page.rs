//! A rendered page with its headers, and what every page shows.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use purser_http::Problem;
use purser_identity::person::Member;
use purser_identity::session::Session;

use crate::front::Front;

/// No scripts, no frames, nothing from elsewhere.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the layout shows around every page.
#[derive(Clone, Debug, Default)]
pub struct PageContext {
    pub title: String,
    pub who: Option<Who>,
    pub sandbox: bool,
    /// Whether a recovery of the person's login runs, which they must not overlook.
    pub recovering: bool,
    /// The token for the forms of the page.
    pub csrf: String,
}

/// Who is signed in, for which organisation.
#[derive(Clone, Debug)]
pub struct Who {
    pub email: String,
    pub organisation: String,
    pub role: &'static str,
    /// The person's organisations, where there are several to choose from.
    pub choices: Vec<Choice>,
}

/// An organisation that can be switched to.
#[derive(Clone, Debug)]
pub struct Choice {
    pub id: String,
    pub name: String,
    pub in_use: bool,
}

impl PageContext {
    /// For a page of a signed-in person.
    #[must_use]
    pub fn of(front: &Front, session: &Session, title: &str) -> Self {
        let choice = |m: &Member| Choice {
            id: m.organisation.id.to_string(),
            name: m.organisation.name.clone(),
            in_use: m.organisation.id == session.member.organisation.id,
        };
        let choices = if session.memberships.len() > 1 { session.memberships.iter().map(choice).collect() } else { Vec::new() };
        let who = Who {
            choices,
            email: session.member.person.email.to_string(),
            organisation: session.member.organisation.name.clone(),
            role: session.member.role.name(),
        };
        Self {
            title: title.to_owned(),
            who: Some(who),
            sandbox: front.sandbox,
            recovering: session.recovering,
            csrf: session.csrf(&front.realm.keys),
        }
    }

    /// For a page that anybody may see.
    #[must_use]
    pub fn anonymous(front: &Front, title: &str) -> Self {
        Self { title: title.to_owned(), who: None, sandbox: front.sandbox, recovering: false, csrf: String::new() }
    }
}

/// A template as a response.
#[derive(Debug)]
pub struct Page<T>(pub StatusCode, pub T);

impl<T> Page<T> {
    pub const fn ok(template: T) -> Self {
        Self(StatusCode::OK, template)
    }
}

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let html = match self.1.render() {
            Ok(html) => html,
            Err(e) => return Problem::internal(&e).into_response(),
        };
        let mut response = (self.0, Html(html)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
        response
    }
}
