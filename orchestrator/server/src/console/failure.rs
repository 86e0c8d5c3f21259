//! How a page says no.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use purser_http::Problem;
use purser_values::error::{Kind, PublicError, advice};
use serde::{Deserialize, Serialize};

use super::page::{Page, PageContext};
use super::prose::{Part, prose};
use super::{session, step_up};
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
    /// Whether the words were found for a program that sends a request.
    for_programs: bool,
}

/// A refusal on its way to the page that shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    status: u16,
    code: String,
    text: String,
    hint: Option<String>,
    for_programs: bool,
}

impl From<Kept> for Refusal {
    fn from(kept: Kept) -> Self {
        let Kept { status, code, text, hint, for_programs } = kept;
        let status = StatusCode::from_u16(status).ok().filter(|status| status.is_client_error() || status.is_server_error());
        let status = status.unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, code, text, hint, for_programs }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { status: problem.status, code: problem.code, text: problem.detail, hint: problem.hint, for_programs: true }
    }
}

impl Refusal {
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// As it is kept until another page shows it.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            status: self.status.as_u16(),
            code: self.code.clone(),
            text: self.text.clone(),
            hint: self.hint.clone(),
            for_programs: self.for_programs,
        }
    }

    /// The message and the hint as a page shows them.
    #[must_use]
    pub fn words(&self) -> (Vec<Part>, Vec<Part>) {
        (prose(&self.text), prose(&hint_of(self)))
    }
}

impl PageError {
    #[must_use]
    pub fn new(status: StatusCode, code: &str, text: &str) -> Self {
        Self::Refused(Refusal { status, code: code.to_owned(), text: text.to_owned(), hint: None, for_programs: false })
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
        Self::Refused(Refusal { status, code: e.code().to_owned(), text: e.to_string(), hint: Some(e.advice()), for_programs: false })
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
    text: Vec<Part>,
    hint: Vec<Part>,
    /// The page on which it goes on.
    way: Option<Way>,
    code: String,
}

/// A link out of a refusal.
#[derive(Clone, Copy)]
struct Way {
    href: &'static str,
    words: &'static str,
}

/// Where a hint sends somebody who is not signed in, as a link.
fn way_on(code: &str) -> Option<Way> {
    let (href, words) = match code {
        "sign_in_over" => ("/sign-in", "Ask for a new code"),
        code if code.starts_with("sso_") => ("/sign-in", "To the sign-in page"),
        "not_signed_in" | "passkey_over" | "email_not_verified" => ("/sign-in", "Sign in"),
        _ => return None,
    };
    Some(Way { href, words })
}

/// What a person can do about it. What programs are told to send again, a person types again.
fn hint_of(refusal: &Refusal) -> String {
    let general = advice::of(&refusal.code, Kind::of_http_status(refusal.status.as_u16()));
    let own = refusal.hint.as_deref().filter(|hint| !refusal.for_programs && *hint != general);
    match (own, refusal.code.as_str()) {
        (Some(hint), _) => hint.to_owned(),
        (None, "invalid_request" | "invalid_body" | "invalid_query") => {
            "go back, correct it and try again; if you followed a link, copy the whole of it. Nothing was changed".to_owned()
        }
        (None, _) => refusal.hint.clone().unwrap_or_else(|| general.to_owned()),
    }
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
    let headers = request.headers().clone();
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
    // a store that does not answer now is no reason to show nothing
    let session = session::find(&front, &headers).await.ok().flatten();
    let ctx = match &session {
        Some(session) => PageContext::of(&front, session, "Not done"),
        None => PageContext::anonymous(&front, "Not done"),
    };
    let hint = prose(&hint_of(&refusal));
    let way = if session.is_none() { way_on(&refusal.code) } else { None };
    let page = Message { ctx, heading: "That was not done", text: prose(&refusal.text), hint, way, code: refusal.code };
    let mut response = Page(refusal.status, page).into_response();
    response.extensions_mut().insert(refused);
    response
}
