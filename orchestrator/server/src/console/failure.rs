//! How a page says no.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use purser_http::Problem;
use purser_values::error::{Kind, PublicError, advice};

use super::page::{Page, PageContext};
use super::step_up;
use crate::front::Front;
use crate::ops::metrics::RefusedCode;

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
    code: String,
    text: String,
    hint: Option<String>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { status: problem.status, code: problem.code, text: problem.detail, hint: problem.hint }
    }
}

impl PageError {
    #[must_use]
    pub fn new(status: StatusCode, code: &str, text: &str) -> Self {
        Self::Refused(Refusal { status, code: code.to_owned(), text: text.to_owned(), hint: None })
    }

    #[must_use]
    pub fn hint(self, hint: &str) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(Refusal { hint: Some(hint.to_owned()), ..refusal }),
            sign_in => sign_in,
        }
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing here")
    }
}

impl<E: PublicError> From<E> for PageError {
    fn from(e: E) -> Self {
        if e.kind() == Kind::Internal {
            let problem = Problem::internal(&e);
            return Self::new(problem.status, &problem.code, &problem.detail);
        }
        let status = StatusCode::from_u16(e.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Refused(Refusal { status, code: e.code().to_owned(), text: e.to_string(), hint: Some(e.advice()) })
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
    heading: &'static str,
    text: String,
    hint: String,
    code: String,
}

/// Whether whoever asks would look at a page.
pub fn accepts_pages(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).any(|kinds| kinds.contains("text/html"))
}

fn refused_early(response: &mut Response, in_a_browser: bool) -> Option<Refusal> {
    if in_a_browser { response.extensions_mut().remove::<Problem>().map(Refusal::from) } else { None }
}

/// The layer that turns refusals into pages, and those for want of a step-up into the step-up.
pub async fn render(State(front): State<Front>, request: Request, next: Next) -> Response {
    let in_a_browser = accepts_pages(request.headers());
    let mut response = match step_up::sent(request).await {
        Ok((sent, request)) => {
            let mut response = next.run(request).await;
            // What wants a person who was there just now asks for that, and is then gone on with.
            if response.extensions().get::<Refusal>().is_some_and(|refusal| refusal.code == "step_up_required") {
                response = step_up::ask(&front, sent).await.unwrap_or_else(PageError::into_response);
            }
            response
        }
        Err(e) => e.into_response(),
    };
    let refusal = response.extensions_mut().remove::<Refusal>();
    // What an extractor refused is a problem document: a person gets it as a page too.
    let Some(refusal) = refusal.or_else(|| refused_early(&mut response, in_a_browser)) else { return response };
    let refused = RefusedCode(refusal.code.clone());
    let ctx = PageContext::anonymous(&front, "Not done");
    let hint = refusal.hint.unwrap_or_else(|| advice::of(&refusal.code, Kind::of_http_status(refusal.status.as_u16())).to_owned());
    let page = Message { ctx, heading: "That was not done", text: refusal.text, hint, code: refusal.code };
    let mut response = Page(refusal.status, page).into_response();
    response.extensions_mut().insert(refused);
    response
}
