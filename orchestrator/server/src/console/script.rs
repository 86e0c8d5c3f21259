//! The one script: passkeys. Everything but them works without it.
//!
//! INVARIANT (one-script): only a page that asks for a passkey may run a script, and only this file: its policy names the file's
//! own address and nothing else.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::page::POLICY;
use crate::front::Front;

/// `/passkey.js`.
pub async fn get() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, include_str!("../../templates/passkey.js"))
}

/// Lets a page of ours run the script.
pub fn allow(front: &Front, mut response: Response) -> Response {
    let policy = format!("{POLICY}; script-src {}/passkey.js", front.realm.issuer);
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
