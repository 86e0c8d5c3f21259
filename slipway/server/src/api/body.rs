//! Request bodies, read by route and not by content type: one client sends JSON under several.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::envelope::Failure;

/// Time for a body to arrive.
const READ: Duration = Duration::from_secs(20);

/// A body that is JSON of this form.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = tokio::time::timeout(READ, Bytes::from_request(request, state)).await;
        let bytes = read.map_err(|_| Failure::slow())?.map_err(|e| refuse(&e))?;
        parse(&bytes).map(Self)
    }
}

/// # Errors
/// When the bytes are not JSON of this form. The message names the place, never the value.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|e| Failure::body(format!("the body is not what this call takes, at line {} column {}", e.line(), e.column())))
}

fn refuse(e: &BytesRejection) -> Failure {
    match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(),
        _ => Failure::body("the body cannot be read"),
    }
}
