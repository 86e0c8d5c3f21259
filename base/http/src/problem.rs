//! Problem documents (RFC 9457): how an API says no.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_values::error::{Kind, PublicError, advice};
use serde_json::{Map, Value};

/// The body of every error of our own APIs. Kept small: it is the `Err` of most handlers.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    /// The stable public code: lower case, underscores. It has a page in `docs/errors/`.
    pub code: String,
    pub detail: String,
    /// What the caller can do about it.
    pub hint: Option<String>,
    /// Facts that belong to the code, such as what is left under a cap.
    pub facts: Vec<(String, Value)>,
    /// Seconds after which a repeat may work.
    pub retry_after: Option<u32>,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into(), hint: None, facts: Vec::new(), retry_after: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing here")
    }

    /// A failure of our own. The cause goes to the log and not to the caller.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "a request failed on our side");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed on our side")
            .hint("repeat it with the same `Idempotency-Key`; if it fails again, give the request id to the operator")
    }

    /// The document (RFC 9457, 3). Facts never hide its own members.
    pub(crate) fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| {
            document.entry(name).or_insert(value);
        };
        put("type", format!("urn:purser:error:{}", self.code).into());
        put("title", self.status.canonical_reason().unwrap_or("Error").into());
        put("status", self.status.as_u16().into());
        put("code", self.code.as_str().into());
        put("detail", shown(&self.detail).into());
        put("hint", self.hint.as_deref().unwrap_or_else(|| advice::of(&self.code, Kind::of_http_status(self.status.as_u16()))).into());
        if let Some(id) = request_id {
            put("request_id", id.into());
        }
        for (name, value) in &self.facts {
            put(name, value.clone());
        }
        Value::Object(document).to_string().into_bytes()
    }
}

/// A message without characters that a terminal would obey or that reorder the text around them: input is repeated in it.
fn shown(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if hidden(c) {
            out.extend(c.escape_unicode())
        } else {
            out.push(c)
        }
        out
    })
}

/// Every public error is a problem document. What is our own fault shows no cause: that goes to the log.
impl<E: PublicError> From<E> for Problem {
    fn from(error: E) -> Self {
        if error.kind() == Kind::Internal {
            return Self::internal(&error);
        }
        let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::new(status, error.code(), error.to_string());
        problem.hint = Some(error.advice());
        if let Some(details) = error.details() {
            problem = problem.fact("details", details);
        }
        problem.fact("kind", error.kind().name())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body(None)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // the request id layer finds it here and writes the body anew
        response.extensions_mut().insert(self);
        response
    }
}
