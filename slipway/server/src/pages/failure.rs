//! How a page says no.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use purser_db::DbError;
use purser_values::error::{Kind, advice};
use slipway_accounts::link::cut::LinkCutError;
use slipway_accounts::link::decide::LinkDecideError;
use slipway_accounts::realm::MailError;
use slipway_accounts::sign_in::code_send::CodeSendError;
use slipway_accounts::sign_in::code_use::CodeUseError;
use slipway_registrar::contact::ContactError;

use super::page::{Page, PageContext};
use crate::cloud::Shared;

/// Seconds after which somebody who asked for too many codes may ask again.
const RETRY_S: u32 = 900;

/// What a handler of a page can answer instead of the page.
#[derive(Debug)]
pub enum PageError {
    /// Sign in first, and then go on to this path of ours.
    SignIn {
        next: String,
    },
    Refused(Refusal),
}

#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    text: String,
}

impl PageError {
    pub fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self::Refused(Refusal { status, code, text: text.into() })
    }

    /// A state that cannot be decided. Nothing is sent back to anybody.
    pub fn over() -> Self {
        LinkDecideError::Over.into()
    }

    fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "a page failed on our side");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "slipway failed; try again in a moment")
    }
}

impl From<DbError> for PageError {
    fn from(e: DbError) -> Self {
        Self::internal(&e)
    }
}
impl From<MailError> for PageError {
    fn from(e: MailError) -> Self {
        Self::internal(&e)
    }
}
impl From<CodeSendError> for PageError {
    fn from(e: CodeSendError) -> Self {
        match e {
            CodeSendError::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", e.to_string()),
            CodeSendError::Mail(e) => e.into(),
            CodeSendError::Store(e) => e.into(),
        }
    }
}
impl From<CodeUseError> for PageError {
    fn from(e: CodeUseError) -> Self {
        match e {
            CodeUseError::NoAttempt => Self::new(StatusCode::UNAUTHORIZED, "sign_in_over", e.to_string()),
            CodeUseError::NotACode => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_a_code", e.to_string()),
            CodeUseError::Store(e) => e.into(),
        }
    }
}
impl From<LinkDecideError> for PageError {
    fn from(e: LinkDecideError) -> Self {
        let text = e.to_string();
        match e {
            LinkDecideError::Over => Self::new(StatusCode::BAD_REQUEST, "expired_or_invalid_state", text),
            LinkDecideError::EmailMismatch => Self::new(StatusCode::FORBIDDEN, "email_mismatch", text),
            LinkDecideError::OtherSession => Self::new(StatusCode::FORBIDDEN, "other_session", text),
            LinkDecideError::NotRecent => Self::new(StatusCode::FORBIDDEN, "sign_in_old", text),
            LinkDecideError::NoSuchAccount => Self::new(StatusCode::FORBIDDEN, "account_not_accessible", text),
            LinkDecideError::Held => Self::new(StatusCode::CONFLICT, "account_held", text),
            LinkDecideError::Mail(e) => e.into(),
            LinkDecideError::Store(e) => e.into(),
        }
    }
}
impl From<ContactError> for PageError {
    fn from(e: ContactError) -> Self {
        match e {
            ContactError::InUse => Self::new(StatusCode::CONFLICT, "contact_in_use", e.to_string()),
            ContactError::Store(e) => e.into(),
            e => Self::internal(&e),
        }
    }
}
impl From<LinkCutError> for PageError {
    fn from(e: LinkCutError) -> Self {
        match e {
            LinkCutError::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", e.to_string()),
            LinkCutError::NotRecent => Self::SignIn { next: "/connections".to_owned() },
            LinkCutError::Mail(e) => e.into(),
            LinkCutError::Store(e) => e.into(),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn { next } => {
                let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
                Redirect::to(&format!("/sign-in?{query}")).into_response()
            }
            // rendered by the layer, which knows what every page must show
            Self::Refused(refusal) => {
                let mut response = refusal.status.into_response();
                response.extensions_mut().insert(refusal);
                response
            }
        }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    ctx: PageContext,
    text: String,
    hint: &'static str,
    code: &'static str,
}

/// The layer that turns refusals into pages.
pub async fn render(State(cloud): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    let hint = advice::of(refusal.code, Kind::of_http_status(refusal.status.as_u16()));
    let page = Message { ctx: PageContext::anonymous(&cloud, "Not done"), text: refusal.text, hint, code: refusal.code };
    let mut response = Page::with(refusal.status, page).into_response();
    if refusal.status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_S));
    }
    response
}
