//! Errors in the form of RFC 6749, 5.2, with our stable code and a hint beside it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_http::Problem;
use purser_values::error::{Kind, PublicError};
use serde_json::json;

#[derive(Debug)]
pub struct OAuthError {
    status: StatusCode,
    error: &'static str,
    code: String,
    description: String,
    hint: Option<String>,
}

impl OAuthError {
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description.into())
    }

    /// A body that could not be read.
    pub fn body(problem: Problem) -> Self {
        Self { status: problem.status, error: "invalid_request", code: problem.code, description: problem.detail, hint: problem.hint }
    }

    /// `error` is one of the registered codes, and our code too.
    pub fn new(error: &'static str, description: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, code: error.to_owned(), description, hint: None }
    }
}

/// Our codes that RFC 6749, 8628 and 9449 register; what is not among them maps by its kind.
const REGISTERED: [&str; 7] =
    ["invalid_grant", "authorization_pending", "access_denied", "expired_token", "invalid_dpop_proof", "invalid_scope", "slow_down"];

impl<E: PublicError> From<E> for OAuthError {
    fn from(e: E) -> Self {
        let status = match e.kind() {
            Kind::Internal | Kind::Unavailable | Kind::RateLimited => StatusCode::from_u16(e.kind().http_status()).ok(),
            _ => None,
        };
        let error = REGISTERED.into_iter().find(|code| *code == e.code()).unwrap_or(match e.kind() {
            Kind::Internal => "server_error",
            Kind::Unavailable | Kind::RateLimited => "temporarily_unavailable",
            Kind::Forbidden | Kind::NeedsPerson => "access_denied",
            _ => "invalid_request",
        });
        let description = if e.kind() == Kind::Internal { Problem::internal(&e).detail } else { e.to_string() };
        Self { status: status.unwrap_or(StatusCode::BAD_REQUEST), error, code: e.code().to_owned(), description, hint: e.hint() }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description, "code": self.code, "hint": self.hint });
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
