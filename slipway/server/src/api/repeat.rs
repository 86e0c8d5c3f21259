//! Calls that arrive twice. When an answer is lost, the official clients send the same call again and say so in a header; what they made
//! the first time exists by then. Such a repetition gets the answer that was lost, and nothing is done twice (ADR 0072).
//!
//! INVARIANT (own-answers): an answer goes to the token that it was for, for the same call with the same body, and to nobody else: it
//! can hold a secret. It is kept in memory only.
//!
//! A call without the header is never taken for a repetition: whoever asks twice means it twice. After a restart nothing is remembered,
//! and the repetition is a call like any other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use purser_values::{Secret, Sha256Digest, Timestamp};
use slipway_accounts::token::verify::Presented;
use tokio::time::timeout;

use super::caller::present;
use super::envelope::Failure;
use crate::cloud::Shared;

/// By which the official clients count their attempts, from 0.
pub const ATTEMPT: &str = "x-stainless-retry-count";
/// How long an answer is kept. The clients repeat twice, within a minute or two.
const KEPT_S: i64 = 300;
/// Largest body of a call, and of an answer, that is kept. What is larger replaces something as a whole, and may well come twice.
const CALL_BYTES: usize = 256 << 10;
const ANSWER_BYTES: usize = 16 << 10;
/// Most calls that are remembered, in all and of one token.
const CALLS: usize = 1_024;
const CALLS_OF_A_TOKEN: usize = 64;
/// Time for a body to arrive, and for a call that is still under way to end.
const READ: Duration = Duration::from_secs(20);
const UNDER_WAY: Duration = Duration::from_secs(30);

/// What an attempt was answered; nothing while it is under way, or when it did not succeed.
type Slot = Arc<tokio::sync::Mutex<Option<Answered>>>;

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Secret<Vec<u8>>,
}

struct Call {
    token: String,
    at: Timestamp,
    slot: Slot,
}

/// The calls of the last minutes.
#[derive(Default)]
pub struct Calls(Mutex<HashMap<Sha256Digest, Call>>);

impl Calls {
    /// The slot of this call: of an earlier attempt when there is one and this is another, or else a new one.
    fn slot(&self, key: Sha256Digest, token: &str, again: bool, now: Timestamp) -> Slot {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|_, call| call.at.plus_secs(KEPT_S) > now);
        if let Some(call) = calls.get(&key).filter(|_| again) {
            return call.slot.clone();
        }
        let oldest = |calls: &HashMap<Sha256Digest, Call>, of: Option<&str>| {
            let mine = calls.iter().filter(|(_, call)| of.is_none_or(|token| call.token == token));
            mine.min_by_key(|(_, call)| call.at).map(|(key, _)| *key)
        };
        let own = calls.values().filter(|call| call.token == token).count();
        let surplus = if own >= CALLS_OF_A_TOKEN {
            oldest(&calls, Some(token))
        } else if calls.len() >= CALLS {
            oldest(&calls, None)
        } else {
            None
        };
        if let Some(surplus) = surplus {
            calls.remove(&surplus);
        }
        let slot = Slot::default();
        calls.insert(key, Call { token: token.to_owned(), at: now, slot: slot.clone() });
        slot
    }
}

/// Answers a repetition with what the first attempt was answered.
pub async fn once(State((cloud, calls)): State<(Shared, Arc<Calls>)>, request: Request, next: Next) -> Response {
    let Some(attempt) = attempt(&request) else { return next.run(request).await };
    let token = match present(&cloud, request.headers()).await {
        Ok(Presented::Valid { token, .. }) => token.id,
        Ok(_) => return next.run(request).await,
        Err(failure) => return failure.into_response(),
    };
    let (parts, body) = request.into_parts();
    let body = match timeout(READ, to_bytes(body, CALL_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Failure::body("the body cannot be read").into_response(),
        Err(_) => return Failure::slow().into_response(),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let key = key(&token, parts.method.as_str(), path, &body);
    let slot = calls.slot(key, &token, attempt > 0, cloud.env.now());
    let Ok(mut slot) = timeout(UNDER_WAY, slot.lock_owned()).await else {
        let busy = Failure::new(StatusCode::CONFLICT, 10_013, "the first attempt at this call is still under way");
        return Failure { retry_after: Some(1), ..busy }.into_response();
    };
    if let Some(answered) = &*slot {
        tracing::debug!(attempt, "a repeated call gets the answer of the first");
        return answered.again();
    }
    let request = Request::from_parts(parts, Body::from(body));
    // in a task of its own, because the client that goes away ends its request and not what it began
    let run = tokio::spawn(async move {
        let (response, answered) = keep(next.run(request).await).await;
        *slot = answered;
        response
    });
    run.await.unwrap_or_else(|e| Failure::internal(&e).into_response())
}

/// Which attempt this is, of a call that is small enough and may change something.
fn attempt(request: &Request) -> Option<u32> {
    let read = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let number = |name: &str| read(name).and_then(|text| text.parse::<usize>().ok());
    if request.method().is_safe() || number(header::CONTENT_LENGTH.as_str()).unwrap_or(0) > CALL_BYTES {
        return None;
    }
    // forms are told apart anew in every attempt, and what is uploaded replaces what was there
    let form = read(header::CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("multipart/"));
    if form || request.headers().contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    read(ATTEMPT)?.parse().ok()
}

fn key(token: &str, method: &str, path: &str, body: &[u8]) -> Sha256Digest {
    // none of the parts before the body holds a line end
    Sha256Digest::of_parts(&[token.as_bytes(), b"\n", method.as_bytes(), b"\n", path.as_bytes(), b"\n", body])
}

/// The answer, and a copy when it is a success that is worth keeping.
async fn keep(response: Response) -> (Response, Option<Answered>) {
    let length = axum::body::HttpBody::size_hint(response.body()).exact();
    let small = length.is_some_and(|length| length <= ANSWER_BYTES as u64);
    if !response.status().is_success() || !small {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    let bytes: Bytes = match to_bytes(body, ANSWER_BYTES).await {
        Ok(bytes) => bytes,
        Err(_) => return (Failure::body("the answer cannot be read").into_response(), None),
    };
    let answered = Answered { status: parts.status, headers: parts.headers.clone(), body: Secret::new(bytes.to_vec()) };
    (Response::from_parts(parts, Body::from(bytes)), Some(answered))
}

impl Answered {
    fn again(&self) -> Response {
        (self.status, self.headers.clone(), self.body.expose().clone()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_repetition_by_the_same_token_finds_an_earlier_attempt() {
        let (calls, now) = (Calls::default(), Timestamp::EPOCH);
        let call = |token: &str| key(token, "POST", "/x", b"{}");
        let first = calls.slot(call("a"), "a", false, now);
        *first.lock().await = Some(Answered { status: StatusCode::OK, headers: HeaderMap::new(), body: Secret::new(Vec::new()) });
        assert!(calls.slot(call("b"), "b", true, now).lock().await.is_none(), "somebody else's answer");
        assert!(calls.slot(call("a"), "a", true, now).lock().await.is_some());
        assert!(calls.slot(call("a"), "a", true, now.plus_secs(KEPT_S)).lock().await.is_none(), "kept for too long");
        assert!(calls.slot(call("a"), "a", false, now).lock().await.is_none(), "a call that is none of the same");
    }

    #[test]
    fn one_token_does_not_push_out_what_others_need() {
        let (calls, now) = (Calls::default(), Timestamp::EPOCH);
        calls.slot(key("a", "POST", "/", b""), "a", false, now);
        for number in 0..CALLS {
            calls.slot(key("b", "POST", &number.to_string(), b""), "b", false, now.plus_secs(1));
        }
        let calls = calls.0.lock().unwrap();
        assert_eq!(calls.len(), CALLS_OF_A_TOKEN + 1);
        assert!(calls.values().any(|call| call.token == "a"));
    }
}
