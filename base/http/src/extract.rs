//! Extractors that refuse with problem documents and never read more than they must.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use purser_values::limits::JSON_BODY_BYTES;
use serde::de::DeserializeOwned;

use crate::misfit::{self, Misfit};
use crate::problem::Problem;

/// A JSON body of bounded size.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A form body (`application/x-www-form-urlencoded`) of bounded size.
#[derive(Debug)]
pub struct Form<T>(pub T);

/// A form body of bounded size as it came, for a reader of its own.
#[derive(Debug)]
pub struct FormBytes(pub Bytes);

/// The parameters after the `?`.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The body as it came, of bounded size: for signatures.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_body(request, JSON_BODY_BYTES).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), "application/json")?;
        let body = read_body(request, JSON_BODY_BYTES).await?;
        parse_json(&body).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), "application/x-www-form-urlencoded")?;
        let body = read_body(request, JSON_BODY_BYTES).await?;
        misfit::urlencoded(&body).map(Self).map_err(|e| unfit("invalid_body", &e))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        misfit::urlencoded(parts.uri.query().unwrap_or_default().as_bytes()).map(Self).map_err(|e| unfit("invalid_query", &e))
    }
}

impl<S: Send + Sync> FromRequest<S> for FormBytes {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Self::read(request).await.map(|(_, form)| form)
    }
}

impl FormBytes {
    /// The body, and the head that it came with.
    ///
    /// # Errors
    /// 415 when it is no form, and as [`read_body`].
    pub async fn read(request: Request) -> Result<(Parts, Self), Problem> {
        let (parts, body) = request.into_parts();
        expect_type(&parts.headers, "application/x-www-form-urlencoded")?;
        let bytes = read_bytes(&parts.headers, body, JSON_BODY_BYTES).await?;
        Ok((parts, Self(bytes)))
    }
}

/// Reads at most `limit` bytes of a body.
///
/// # Errors
/// 413 when it is longer, 400 when it breaks off.
pub async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    read_bytes(&parts.headers, body, limit).await
}

async fn read_bytes(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body is larger than {limit} bytes"));
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    to_bytes(body, limit).await.map_err(|e| {
        use std::error::Error as _;
        let over = e.source().is_some_and(|s| s.to_string().contains("length limit"));
        if over { too_large() } else { Problem::new(StatusCode::BAD_REQUEST, "body_not_readable", "the body broke off") }
    })
}

/// Parses JSON and says what is wrong where.
///
/// # Errors
/// 400 when the bytes are not JSON of the expected shape.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    misfit::json(body).map_err(|e| unfit("invalid_body", &e))
}

/// The same of JSON that was read already.
///
/// # Errors
/// 400 when it has not the expected shape.
pub fn parse_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    misfit::value(value).map_err(|e| unfit("invalid_body", &e))
}

fn unfit(code: &str, misfit: &Misfit) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, misfit.to_string())
        .hint("correct what is named and send it again: nothing was changed")
        .fact("errors", vec![misfit.member()])
}

fn expect_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let found = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", format!("send the body as `{expected}`")))
}
