//! Hands out nonces for DPoP proofs (RFC 9449, 8.2): with every answer of an endpoint that takes proofs, so that a client has one
//! before it needs one.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use purser_identity::Realm;
use purser_identity::token::nonce;

pub const HEADER: HeaderName = HeaderName::from_static("dpop-nonce");

pub async fn offer(State(realm): State<Realm>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(nonce::now(&realm)) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
