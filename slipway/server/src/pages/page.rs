//! A rendered page with its headers, and what every page shows.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_http::Problem;
use slipway_accounts::session::Session;
use slipway_workers::runtime::confinement::Confinement;
use url::Url;

use crate::cloud::Cloud;
use crate::config::Profile;

/// What the layout shows around every page.
#[derive(Clone, Debug, Default)]
pub struct PageContext {
    pub title: &'static str,
    pub who: Option<String>,
    pub sandbox: bool,
    pub unconfined: bool,
    /// The token for the forms of the page.
    pub csrf: String,
    /// Where sign-out leads: back to this page.
    pub back: String,
}

impl PageContext {
    /// For a page of a signed-in person.
    #[must_use]
    pub fn of(cloud: &Cloud, session: &Session, title: &'static str) -> Self {
        let csrf = session.csrf(&cloud.realm.key);
        Self { who: Some(session.person.email.to_string()), csrf, ..Self::anonymous(cloud, title) }
    }

    /// For a page that anybody may see.
    #[must_use]
    pub fn anonymous(cloud: &Cloud, title: &'static str) -> Self {
        Self {
            title,
            sandbox: cloud.profile == Profile::Sandbox,
            unconfined: *cloud.workers.confinement() == Confinement::Unconfined,
            ..Self::default()
        }
    }
}

/// A template as a response; `form_to` is one other origin that a form's answer may lead to.
#[derive(Debug)]
pub struct Page<'a, T> {
    pub status: StatusCode,
    pub template: T,
    pub form_to: Option<&'a Url>,
}

impl<T> Page<'_, T> {
    pub const fn ok(template: T) -> Self {
        Self { status: StatusCode::OK, template, form_to: None }
    }

    pub const fn with(status: StatusCode, template: T) -> Self {
        Self { status, template, form_to: None }
    }
}

impl<T: Template> IntoResponse for Page<'_, T> {
    fn into_response(self) -> Response {
        let html = match self.template.render() {
            Ok(html) => html,
            Err(e) => return Problem::internal(&e).into_response(),
        };
        // No scripts, no frames, nothing from elsewhere. Browsers apply `form-action` to the redirect after a form too.
        let to = self.form_to.map(|url| format!(" {}", url.origin().ascii_serialization())).unwrap_or_default();
        let policy = format!("default-src 'none'; style-src 'self'; form-action 'self'{to}; frame-ancestors 'none'; base-uri 'none'");
        let mut response = (self.status, Html(html)).into_response();
        if let Ok(policy) = HeaderValue::try_from(policy) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}
