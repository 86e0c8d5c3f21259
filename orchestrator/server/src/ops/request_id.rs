//! `X-Request-Id` from a proxy that the operator trusts goes on through our logs and answers; anybody else's is not read.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use purser_http::around::{Answer, Around};
use purser_http::harden::{AcceptedRequestId, REQUEST_ID};

use crate::peer::TrustedProxies;

/// Longest id that is taken over, in characters.
const CHARS: usize = 128;

/// The layer, outside of the one that gives ids.
#[derive(Clone)]
pub struct AcceptRequestId(Arc<TrustedProxies>);

impl AcceptRequestId {
    #[must_use]
    pub fn new(proxies: TrustedProxies) -> Self {
        Self(Arc::new(proxies))
    }
}

impl Around for AcceptRequestId {
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Box::pin(within(accepted(&self.0, request)))
    }
}

fn accepted(proxies: &TrustedProxies, mut request: Request) -> Request {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    if peer.is_some_and(|ip| proxies.has(ip.to_canonical())) {
        let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_plain(id));
        if let Some(id) = given.map(str::to_owned) {
            request.extensions_mut().insert(AcceptedRequestId(id));
        }
    }
    request
}

/// Nothing that could end a line of a log or hide in it.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= CHARS
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_forge_a_line_is_not_taken_over() {
        for good in ["req_01", "0b3b2a9e-4c1f-4f0e-9f3e-000000000000", "Root=1-67891233-abcdef"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "a b", "a\"b", "a\u{1b}[31m", &"x".repeat(129)] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
