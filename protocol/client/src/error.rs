//! What a failed call means.

use http::StatusCode;
use purser_http::FetchError;
use purser_wire::error::ErrorBody;

/// Why a call did not give what was asked for. No text holds a secret: what a provider said is cut, what it sent is described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The network, a time-out, a fault on the provider's side, or too many calls. The outcome of a change is unknown: repeat the
    /// same call with the same idempotency key.
    #[error("the provider did not answer: {why}")]
    Transient {
        why: String,
        /// Seconds that the provider asked to wait.
        retry_after: Option<u32>,
    },
    /// The provider understood and said no. Repeating the call changes nothing.
    #[error("the provider refused: {error}")]
    Permanent { status: Option<StatusCode>, error: ErrorBody },
    /// The provider answered, but not in the protocol's language. The outcome of a change is unknown.
    #[error("the provider's answer cannot be understood: {why}; received {received}")]
    Garbage { why: String, received: String },
}

impl CallError {
    pub(crate) fn transient(why: impl Into<String>, retry_after: Option<u32>) -> Self {
        Self::Transient { why: why.into(), retry_after }
    }

    /// Whether the same call may be repeated.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }

    /// The provider's code, when it refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Permanent { error, .. } => Some(&error.code),
            _ => None,
        }
    }
}

impl From<FetchError> for CallError {
    fn from(error: FetchError) -> Self {
        let why = error.to_string();
        match error {
            FetchError::Timeout { .. } | FetchError::Network { .. } => Self::transient(why, None),
            FetchError::TooLarge { .. } => Self::Garbage { why, received: "an answer that was not read to its end".to_owned() },
            FetchError::Forbidden { .. } => Self::Permanent { status: None, error: ErrorBody::new("address_forbidden", why) },
            FetchError::Setup(_) => Self::Permanent { status: None, error: ErrorBody::new("client_setup", why) },
        }
    }
}
