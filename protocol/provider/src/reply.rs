//! Answers as bytes: JSON, never cached, errors in the envelope of their route.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_wire::error::{Envelope, ErrorBody};
use serde::Serialize;
use serde_json::Value;

use crate::error::ProviderError;
use crate::store::StoreError;

pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => raw(status, bytes),
        Err(cause) => refusal(&ProviderError::internal(&cause), Envelope::Flat),
    }
}

pub fn raw(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

pub fn refusal(error: &ProviderError, envelope: Envelope) -> Response {
    let value: Value = error.to_json(envelope);
    let mut response = raw(error.status, value.to_string().into_bytes());
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

impl From<StoreError> for ProviderError {
    fn from(cause: StoreError) -> Self {
        Self::internal(&cause)
    }
}

/// Reads a body. What is wrong is said without repeating what was sent: it may hold a secret in the wrong place.
///
/// # Errors
/// `invalid_request`, with the member that does not fit.
pub fn read_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ProviderError> {
    purser_http::misfit::json(body).map_err(|misfit| ProviderError::invalid_request(misfit.silent().to_string()))
}

/// A refusal with its envelope: how handlers fail.
#[derive(Debug)]
pub struct Refusal(pub ProviderError, pub Envelope);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let ErrorBody { code, .. } = &self.0.body;
        tracing::debug!(code, status = self.0.status.as_u16(), "refused");
        refusal(&self.0, self.1)
    }
}

/// Attaches the envelope of a route to an error.
pub trait InEnvelope<T> {
    fn envelope(self, envelope: Envelope) -> Result<T, Refusal>;
}

impl<T, E: Into<ProviderError>> InEnvelope<T> for Result<T, E> {
    fn envelope(self, envelope: Envelope) -> Result<T, Refusal> {
        self.map_err(|e| Refusal(e.into(), envelope))
    }
}
