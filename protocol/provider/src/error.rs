//! How a provider refuses. The SDK picks the envelope that belongs to the route.

use http::StatusCode;
use purser_wire::error::{ErrorBody, code};
use serde_json::Value;

/// A refusal or a failure, with what the caller may see. The cause stays in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{body}")]
pub struct ProviderError {
    pub status: StatusCode,
    pub body: ErrorBody,
    /// Seconds after which a repeat may work.
    pub retry_after: Option<u32>,
}

impl ProviderError {
    #[must_use]
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody::new(code, message), retry_after: None }
    }

    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, message)
    }

    #[must_use]
    pub fn invalid_configuration(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_CONFIGURATION, message)
    }

    #[must_use]
    pub fn unknown_service(service: &str) -> Self {
        let shown = purser_wire::text::excerpt(service, 64);
        Self::new(StatusCode::BAD_REQUEST, code::UNKNOWN_SERVICE, format!("there is no service `{shown}`; see `provisioning/services`"))
    }

    /// Also for what belongs to another account: a stranger learns nothing.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code::NOT_FOUND, format!("there is no such {what}"))
    }

    #[must_use]
    pub fn requires_payment() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code::REQUIRES_PAYMENT_CREDENTIALS,
            "this service is paid; send `payment_credentials` with a payment token",
        )
    }

    #[must_use]
    pub fn payment_declined(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::PAYMENT_DECLINED, message)
    }

    #[must_use]
    pub fn invalid_state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code::INVALID_STATE, message)
    }

    #[must_use]
    pub fn forbidden(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    #[must_use]
    pub fn not_supported(what: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::NOT_SUPPORTED, format!("this provider does not support {what}"))
    }

    /// Something on our side that a repeat may get past.
    #[must_use]
    pub fn unavailable(message: impl Into<String>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code::SERVER_ERROR, message) }
    }

    /// A failure of our own. The cause goes to the log and not to the caller.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "a call failed on our side");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code::SERVER_ERROR,
            "the provider failed; repeat the call with the same `Idempotency-Key`",
        )
    }

    /// Whether a repeat may end differently, so that the answer must not be kept as the answer to its idempotency key.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS || self.retry_after.is_some()
    }

    pub(crate) fn to_json(&self, envelope: purser_wire::error::Envelope) -> Value {
        self.body.to_json(envelope)
    }
}
