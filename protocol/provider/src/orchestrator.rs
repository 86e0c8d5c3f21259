//! Provider → orchestrator: charges, refunds and events, signed (RFC 9421) and repeated until they are answered.
//!
//! Every attempt of one message carries the same idempotency key and a fresh signature. When all attempts fail the outcome is not
//! known: repeat the same message with the same key later, never a new one.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use purser_crypto::jose::SigningKey;
use purser_http::{FetchError, Fetched, Fetcher};
use purser_values::Env;
use purser_wire::account_confirmation::{self, AccountConfirmation, AccountConfirmed};
use purser_wire::charge::{self, ChargeRequest, ChargeResponse};
use purser_wire::error::ErrorBody;
use purser_wire::event::{self, EventReceipt, ProviderEvent};
use purser_wire::id::{AccountRequestId, ChargeId, IdempotencyKey};
use purser_wire::refund::{self, RefundRequest, RefundResponse};
use purser_wire::signature::message;
use purser_wire::usage::{self, UsageHoldRequest, UsageHoldResponse, UsageReleaseRequest, UsageReleaseResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

const ATTEMPTS: u32 = 4;
const FIRST_PAUSE_MS: u64 = 100;
/// Longest pause that we grant to a `Retry-After`, in seconds.
const LONGEST_PAUSE_S: u64 = 5;

/// Speaks to one orchestrator; cheap to clone.
#[derive(Clone, Debug)]
pub struct OrchestratorClient {
    fetcher: Fetcher,
    base_url: Url,
    key: SigningKey,
    env: Env,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrchestratorError {
    /// The orchestrator understood and said no. Repeating changes nothing.
    #[error("the orchestrator refused: {0}")]
    Refused(ErrorBody),
    /// The outcome is unknown.
    #[error("the orchestrator did not answer {ATTEMPTS} attempts: {0}; repeat later with the same key")]
    Unknown(String),
    #[error("the message cannot be made: {0}")]
    Message(String),
}

enum Attempt<T> {
    Answered(T),
    Refused(ErrorBody),
    Again { why: String, after: Option<Duration> },
}

impl OrchestratorClient {
    /// `key` is the one whose public half is in the manifest.
    #[must_use]
    pub const fn new(fetcher: Fetcher, base_url: Url, key: SigningKey, env: Env) -> Self {
        Self { fetcher, base_url, key, env }
    }

    /// Takes money through a payment token.
    ///
    /// # Errors
    /// See [`OrchestratorError`]. A declined or refused charge is an answer, not an error.
    pub async fn charge(&self, request: &ChargeRequest, key: &IdempotencyKey) -> Result<ChargeResponse, OrchestratorError> {
        self.send(&self.at(charge::PATH)?, request, key).await
    }

    /// Sets money aside for use that has not accrued yet.
    ///
    /// # Errors
    /// See [`OrchestratorError`]. A refused block is an answer, not an error.
    pub async fn usage_hold(&self, request: &UsageHoldRequest, key: &IdempotencyKey) -> Result<UsageHoldResponse, OrchestratorError> {
        self.send(&self.at(usage::PATH)?, request, key).await
    }

    /// Gives back a block that is not needed.
    ///
    /// # Errors
    /// See [`OrchestratorError`]. A refusal is an answer, not an error.
    pub async fn usage_release(
        &self,
        request: &UsageReleaseRequest,
        key: &IdempotencyKey,
    ) -> Result<UsageReleaseResponse, OrchestratorError> {
        self.send(&self.at(usage::RELEASE_PATH)?, request, key).await
    }

    /// Gives back what was charged, or a part of it. Keep `charge` (the orchestrator's id) and the key before the first attempt.
    ///
    /// # Errors
    /// See [`OrchestratorError`]. A refund that the payment method does not take is an answer, not an error.
    pub async fn refund(
        &self,
        charge: &ChargeId,
        request: &RefundRequest,
        key: &IdempotencyKey,
    ) -> Result<RefundResponse, OrchestratorError> {
        let url = refund::address(&self.base_url, charge);
        let url = url.ok_or_else(|| OrchestratorError::Message("the orchestrator's address cannot carry a path".to_owned()))?;
        self.send(&url, request, key).await
    }

    /// Tells what happened. The event's own id is its idempotency key.
    ///
    /// # Errors
    /// See [`OrchestratorError`].
    pub async fn event(&self, event: &ProviderEvent) -> Result<EventReceipt, OrchestratorError> {
        let key = event.id.parse().map_err(|_| OrchestratorError::Message("an event id is 1 to 255 visible characters".to_owned()))?;
        self.send(&self.at(event::PATH)?, event, &key).await
    }

    /// Tells what the person decided about an account request on a page of ours, where no code goes through their browser. Asked
    /// again with the same id, the request then gets its account.
    ///
    /// # Errors
    /// See [`OrchestratorError`].
    pub async fn account_confirm(
        &self,
        request: &AccountRequestId,
        confirmation: &AccountConfirmation,
    ) -> Result<AccountConfirmed, OrchestratorError> {
        let url = account_confirmation::address(&self.base_url, request);
        let url = url.ok_or_else(|| OrchestratorError::Message("the orchestrator's address cannot carry a path".to_owned()))?;
        let key = format!("{request}/confirm").parse().map_err(|_| OrchestratorError::Message("the id is too long".to_owned()))?;
        self.send(&url, confirmation, &key).await
    }

    fn at(&self, path: &str) -> Result<Url, OrchestratorError> {
        self.base_url.join(path).map_err(|e| OrchestratorError::Message(e.to_string()))
    }

    async fn send<T: DeserializeOwned>(&self, url: &Url, body: &impl Serialize, key: &IdempotencyKey) -> Result<T, OrchestratorError> {
        let body = Bytes::from(serde_json::to_vec(body).map_err(|e| OrchestratorError::Message(e.to_string()))?);
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            match self.attempt(url, &body, key).await? {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Refused(error) => return Err(OrchestratorError::Refused(error)),
                Attempt::Again { why, after } => {
                    tracing::warn!(path = url.path(), attempt, why, "the orchestrator did not take a message");
                    last = why;
                    if attempt + 1 < ATTEMPTS {
                        tokio::time::sleep(after.unwrap_or_else(|| self.pause(attempt))).await;
                    }
                }
            }
        }
        Err(OrchestratorError::Unknown(last))
    }

    async fn attempt<T: DeserializeOwned>(&self, url: &Url, body: &Bytes, key: &IdempotencyKey) -> Result<Attempt<T>, OrchestratorError> {
        let message = message::Message { method: "POST", target_uri: url.as_str(), idempotency_key: key.as_str(), body };
        let signed = message::sign(&self.key, message, &self.env).map_err(|e| OrchestratorError::Message(e.to_string()))?;
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (name, value) in signed {
            let value = HeaderValue::from_str(&value).map_err(|e| OrchestratorError::Message(e.to_string()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(match self.fetcher.post(url, headers, body.clone()).await {
            Ok(answer) => classify(&answer),
            Err(e @ FetchError::Forbidden { .. }) => return Err(OrchestratorError::Message(e.to_string())),
            Err(e) => Attempt::Again { why: e.to_string(), after: None },
        })
    }

    /// Doubling pauses with up to half again at random, so that many providers do not come back at once.
    fn pause(&self, attempt: u32) -> Duration {
        let base = FIRST_PAUSE_MS << attempt.min(8);
        Duration::from_millis(base + u64::from(self.env.bytes::<1>()[0]) * base / 512)
    }
}

fn classify<T: DeserializeOwned>(answer: &Fetched) -> Attempt<T> {
    let again = |why: String| {
        let seconds = answer.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
        Attempt::Again { why, after: seconds.map(|s| Duration::from_secs(s.min(LONGEST_PAUSE_S))) }
    };
    let status = answer.status;
    if status.is_success() {
        return match serde_json::from_slice(&answer.body) {
            Ok(value) => Attempt::Answered(value),
            Err(_) => again("the answer is not what is expected".to_owned()),
        };
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
        return again(format!("the answer has status {}", status.as_u16()));
    }
    Attempt::Refused(read_refusal(answer))
}

/// The protocol's error forms, and problem documents (RFC 9457), which orchestrators of our make answer with.
fn read_refusal(answer: &Fetched) -> ErrorBody {
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some((_, error)) = ErrorBody::find(&value).filter(|(_, e)| !e.code.is_empty()) {
        return error;
    }
    let part = |name: &str| purser_wire::text::excerpt(value[name].as_str().unwrap_or_default(), 200);
    match part("code") {
        code if code.is_empty() => ErrorBody::new("refused", format!("the answer has status {}", answer.status.as_u16())),
        code => ErrorBody::new(code, part("detail")),
    }
}
