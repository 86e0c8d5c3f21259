//! Problem documents (RFC 9457): how an API says no.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_values::error::{Kind, PublicError};
use serde::Serialize;

/// The body of every error of our own APIs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(serialize_with = "as_number")]
    pub status: StatusCode,
    pub code: String,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Filled in by the request id layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Facts that belong to the code, such as what is left under a cap.
    #[serde(flatten)]
    pub facts: serde_json::Map<String, serde_json::Value>,
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u16(status.as_u16())
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:purser:error:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status,
            code: code.to_owned(),
            detail: detail.into(),
            hint: None,
            request_id: None,
            facts: serde_json::Map::new(),
            retry_after: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
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

    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Every public error is a problem document. What is our own fault shows no cause: that goes to the log.
impl<E: PublicError> From<E> for Problem {
    fn from(error: E) -> Self {
        if error.kind() == Kind::Internal {
            return Self::internal(&error);
        }
        let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::new(status, error.code(), error.to_string());
        problem.hint = error.hint();
        if let Some(details) = error.details() {
            problem.facts.insert("details".to_owned(), details);
        }
        problem.facts.insert("kind".to_owned(), error.kind().name().into());
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, content_type, self.body()).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // the request id layer finds it here and writes the body anew
        response.extensions_mut().insert(self);
        response
    }
}
