//! Hands out nonces for DPoP proofs (RFC 9449, 8.2): with every answer of an endpoint that takes proofs, so that a client has one
//! before it needs one.

use std::sync::{Arc, PoisonError, RwLock};

use axum::response::Response;
use http::{HeaderName, HeaderValue};
use purser_identity::token::nonce;

use crate::front::Front;

pub const HEADER: HeaderName = HeaderName::from_static("dpop-nonce");

/// Adds the nonce of this moment to an answer. Everybody gets the same for a while: it is made once.
pub fn offer(front: Front) -> impl FnOnce(Response) -> Response + Clone {
    let offered = Offered { front, last: Arc::default() };
    move |mut response: Response| {
        if let Some(value) = offered.now() {
            response.headers_mut().insert(HEADER, value);
        }
        response
    }
}

#[derive(Clone)]
struct Offered {
    front: Front,
    /// With the window of time that it is for.
    last: Arc<RwLock<Option<(i64, HeaderValue)>>>,
}

impl Offered {
    fn now(&self) -> Option<HeaderValue> {
        let window = nonce::window_now(&self.front.realm);
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, value)) = last.filter(|(of, _)| *of == window) {
            return Some(value);
        }
        let value = HeaderValue::try_from(nonce::now(&self.front.realm)).ok()?;
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some((window, value.clone()));
        Some(value)
    }
}
