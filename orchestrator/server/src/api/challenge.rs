//! The challenge of a refused call (RFC 9728, 5.1; RFC 9449, 7.1): where to learn how tokens for this API are had.

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use purser_http::Problem;
use purser_http::around::{Answer, Around};

use super::Api;
use crate::oidc::nonce;
use crate::oidc::resource::challenge;

/// Adds the challenge to every 401 that has none. Providers sign their calls (`/v2/`) and are not told of tokens.
#[derive(Clone)]
pub struct Challenge(pub Api);

impl Around for Challenge {
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let ours = request.uri().path().starts_with("/v1/");
        let (api, answer) = (self.0.clone(), within(request));
        Box::pin(async move { if ours { add(&api, answer.await) } else { answer.await } })
    }
}

fn add(api: &Api, mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED && !response.headers().contains_key(header::WWW_AUTHENTICATE) {
        // Whoever brought no token is told of no error (RFC 6750, 3.1).
        let error = match response.extensions().get::<Problem>().map(|problem| problem.code.as_str()) {
            Some("invalid_dpop_proof") => Some("invalid_dpop_proof"),
            Some("use_dpop_nonce") => Some("use_dpop_nonce"),
            Some("not_signed_in") | None => None,
            Some(_) => Some("invalid_token"),
        };
        if let Ok(value) = HeaderValue::try_from(challenge(&api.app.realm.issuer, "DPoP", error)) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        if let Ok(value) = HeaderValue::try_from(purser_identity::token::nonce::now(&api.app.realm)) {
            response.headers_mut().insert(nonce::HEADER, value);
        }
    }
    response
}
