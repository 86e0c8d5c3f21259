//! How often a key may pass: counts in memory, of windows of the limit's own length. A limit is about load and not about money: a restart
//! forgets it, and each process counts for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::{HeaderValue, Request, Response, StatusCode};
use purser_values::{Env, Sha256Digest};
use serde::Deserialize;
use serde_json::json;

use crate::body::{Body, Incoming, full};
use crate::limits;

/// The counts of this process.
#[derive(Default)]
pub struct Rates(Mutex<HashMap<Sha256Digest, (i64, u32)>>);

#[derive(Deserialize)]
struct Asked {
    key: String,
}

impl Rates {
    /// Whether one more of this key may pass.
    pub fn pass(&self, env: &Env, scope: &[&str], key: &str, limit: u32, period_s: u32) -> bool {
        let window = env.now().as_secs().div_euclid(i64::from(period_s.max(1)));
        let length = key.len().to_string();
        let mut parts: Vec<&[u8]> = scope.iter().flat_map(|part| [part.as_bytes(), b"\0".as_slice()]).collect();
        parts.extend([length.as_bytes(), b"\0", key.as_bytes()]);
        let id = Sha256Digest::of_parts(&parts);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= limits::RATE_KEYS && !counts.contains_key(&id) {
            let now = env.now().as_secs();
            // the longest window is a minute; what is older counts for nothing any more
            counts.retain(|_, (ends, _)| *ends > now);
            if counts.len() >= limits::RATE_KEYS {
                // nobody is refused because others use many keys
                return true;
            }
        }
        let ends = (window + 1) * i64::from(period_s.max(1));
        let count = counts.entry(id).or_insert((ends, 0));
        if count.0 != ends {
            *count = (ends, 0);
        }
        count.1 = count.1.saturating_add(1);
        count.1 <= limit
    }

    /// Answers one request of a binding: `{"key": text}` with `{"success": bool}`.
    pub async fn answer(&self, env: &Env, scope: &[&str], limit: u32, period_s: u32, request: Request<Body>) -> Response<Body> {
        let body = Incoming::from_body(request.into_body()).whole(limits::RATE_BODY_BYTES).await;
        let asked: Option<Asked> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        let (status, said) = match asked {
            Some(asked) => (StatusCode::OK, json!({"success": self.pass(env, scope, &asked.key, limit, period_s)})),
            None => (StatusCode::BAD_REQUEST, json!({"error": "a rate limit is asked with `key`"})),
        };
        let mut response = Response::new(full(said.to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use purser_db::testing::START;

    use super::*;

    #[test]
    fn a_key_passes_as_often_as_it_may_in_each_window_and_keys_do_not_meet() {
        let ((env, clock), rates) = (Env::test(START, 1), Rates::default());
        let pass = |scope: &[&str], key: &str| rates.pass(&env, scope, key, 2, 10);
        assert_eq!([pass(&["a", "1"], "k"), pass(&["a", "1"], "k"), pass(&["a", "1"], "k")], [true, true, false]);
        assert!(pass(&["a", "2"], "k") && pass(&["b", "1"], "k") && pass(&["a", "1"], "other"));
        clock.advance_secs(10);
        assert!(pass(&["a", "1"], "k"));
    }
}
