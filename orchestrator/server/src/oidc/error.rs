//! Errors in the form of RFC 6749, 5.2, with our stable code and a hint beside it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_http::Problem;
use purser_values::error::{Kind, PublicError, advice};
use serde_json::json;

use crate::ops::metrics::RefusedCode;

#[derive(Debug)]
pub struct OAuthError {
    status: StatusCode,
    error: String,
    code: String,
    description: String,
    hint: Option<String>,
    challenge: Option<HeaderValue>,
}

impl OAuthError {
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description.into())
    }

    /// A body that could not be read.
    pub fn body(problem: Problem) -> Self {
        Self { code: problem.code, hint: problem.hint, status: problem.status, ..Self::invalid_request(problem.detail) }
    }

    /// A client that did not prove itself (RFC 6749, 5.2): with a challenge where it tried by HTTP authentication.
    pub fn invalid_client(description: &str, basic: bool) -> Self {
        let challenge = basic.then(|| HeaderValue::from_static("Basic realm=\"purser\""));
        Self { status: StatusCode::UNAUTHORIZED, challenge, ..Self::new("invalid_client", description.to_owned()) }
    }

    /// A bearer token that is missing or wrong (RFC 6750, 3).
    pub fn invalid_token(description: &str) -> Self {
        let challenge = Some(HeaderValue::from_static("Bearer realm=\"purser\", error=\"invalid_token\""));
        Self { status: StatusCode::UNAUTHORIZED, challenge, ..Self::new("invalid_token", description.to_owned()) }
    }

    /// `error` is one of the registered codes, and our code too.
    pub fn new(error: &str, description: String) -> Self {
        let error = error.to_owned();
        Self { status: StatusCode::BAD_REQUEST, code: error.clone(), error, description, hint: None, challenge: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same under another registered code; ours stays.
    pub fn registered_as(self, error: &str) -> Self {
        Self { error: error.to_owned(), ..self }
    }

    /// What went wrong, for a page or another form of answer.
    pub fn description(&self) -> &str {
        &self.description
    }
}

/// Our codes that RFC 6749, 6750, 7591, 8628, 8707, 9126, 9396, 9449 and OpenID Connect register; what is not among them maps by its kind.
const REGISTERED: [&str; 21] = [
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "authorization_pending",
    "access_denied",
    "expired_token",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "insufficient_scope",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_request_uri",
    "invalid_authorization_details",
    "unsupported_response_type",
    "request_not_supported",
    "registration_not_supported",
    "invalid_request",
    "slow_down",
];

impl<E: PublicError> From<E> for OAuthError {
    fn from(e: E) -> Self {
        let status = match e.kind() {
            Kind::Internal | Kind::Unavailable | Kind::RateLimited => StatusCode::from_u16(e.kind().http_status()).ok(),
            _ if e.code() == "invalid_client" => Some(StatusCode::UNAUTHORIZED),
            _ => None,
        };
        let error = REGISTERED.into_iter().find(|code| *code == e.code()).unwrap_or(match e.kind() {
            Kind::Internal => "server_error",
            Kind::Unavailable | Kind::RateLimited => "temporarily_unavailable",
            Kind::Forbidden | Kind::NeedsPerson => "access_denied",
            _ => "invalid_request",
        });
        let description = if e.kind() == Kind::Internal { Problem::internal(&e).detail } else { e.to_string() };
        Self {
            status: status.unwrap_or(StatusCode::BAD_REQUEST),
            code: e.code().to_owned(),
            hint: Some(e.advice()),
            ..Self::new(error, description)
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        // RFC 6749, 5.2 has no room for quotes and backslashes in a description.
        let description = self.description.replace(['"', '\\'], "'");
        let hint = self.hint.unwrap_or_else(|| advice::of(&self.code, Kind::of_http_status(self.status.as_u16())).to_owned());
        let body = json!({ "error": self.error, "error_description": description, "code": &self.code, "hint": hint });
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(RefusedCode(self.code));
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
