//! The four envelopes in which an error travels, the framework's fifth that we read, and the codes.
//!
//! | envelope | shape | where |
//! | --- | --- | --- |
//! | typed | `{"type":"error","error":{code,message}}` | account requests |
//! | status | `{"status":"error","id",…,"error":{code,message}}` | resources, quotes, controls |
//! | oauth | `{"error","error_description"}` | token endpoint (RFC 6749, section 5.2) |
//! | flat | `{"error":{code,message}}` | signature, version |
//! | framework | `{"detail":…}` | never written by us |

use purser_values::limits::PROVIDER_MESSAGE_CHARS;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::text::excerpt;

/// Faults of one framework error that are told.
const FAULTS: usize = 8;

/// Codes that we write and react to. Other providers' codes are open text.
pub mod code {
    pub const INVALID_SIGNATURE: &str = "invalid_signature";
    pub const INVALID_API_VERSION: &str = "invalid_api_version";
    pub const BODY_NOT_READABLE: &str = "body_not_readable";
    pub const SERVER_ERROR: &str = "server_error";
    pub const UNAUTHORIZED: &str = "unauthorized";
    pub const INVALID_REQUEST: &str = "invalid_request";
    pub const EXPIRED: &str = "expired";
    pub const ACCOUNT_REQUEST_EXPIRED: &str = "account_request_expired";
    pub const FORBIDDEN: &str = "forbidden";
    pub const NOT_FOUND: &str = "not_found";
    pub const UNKNOWN_SERVICE: &str = "unknown_service";
    pub const INVALID_CONFIGURATION: &str = "invalid_configuration";
    pub const INVALID_STATE: &str = "invalid_state";
    pub const REQUIRES_PAYMENT_CREDENTIALS: &str = "requires_payment_credentials";
    pub const PAYMENT_DECLINED: &str = "payment_declined";
    pub const BILLING_ACTIVATION_FAILED: &str = "billing_activation_failed";
    pub const QUOTE_EXPIRED: &str = "quote_expired";
    pub const QUOTE_MISMATCH: &str = "quote_mismatch";
    pub const ACCOUNT_FROZEN: &str = "account_frozen";
    pub const CREDENTIALS_DISABLED: &str = "credentials_disabled";
    pub const IDEMPOTENCY_CONFLICT: &str = "idempotency_conflict";
    pub const IDEMPOTENCY_IN_PROGRESS: &str = "idempotency_in_progress";
    pub const NOT_SUPPORTED: &str = "not_supported";
    pub const RATE_LIMITED: &str = "rate_limited";
    pub const INVALID_SCOPE: &str = "invalid_scope";
    pub const INSUFFICIENT_SCOPE: &str = "insufficient_scope";
    pub const INVALID_GRANT: &str = "invalid_grant";
    pub const INVALID_CLIENT: &str = "invalid_client";
    pub const UNSUPPORTED_GRANT_TYPE: &str = "unsupported_grant_type";
    pub const INVALID_ASSERTION: &str = "invalid_assertion";
    pub const TERMS_NOT_ACCEPTED: &str = "terms_not_accepted";
    pub const INVALID_ATTESTATION: &str = "invalid_attestation";
    pub const CREDIT_PROGRAMME_UNKNOWN: &str = "credit_programme_unknown";
    pub const CREDIT_PROGRAMME_SPENT: &str = "credit_programme_spent";
    pub const CREDIT_GIVEN_BEFORE: &str = "credit_given_before";
    pub const CREDIT_CHANGED: &str = "credit_changed";
    pub const IDENTITY_PINNED: &str = "identity_pinned";
}

/// What went wrong, in the words of the party that refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ErrorBody {
    pub code: String,
    #[serde(default, deserialize_with = "crate::plain::or_default")]
    pub message: String,
}

/// Which of the shapes an error has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    Typed,
    Status,
    OAuth,
    Flat,
    Framework,
}

impl ErrorBody {
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The error as JSON in the given shape. The framework shape is never written; it becomes the flat one.
    #[must_use]
    pub fn to_json(&self, envelope: Envelope) -> Value {
        match envelope {
            Envelope::Typed => json!({"type": "error", "error": self}),
            Envelope::Status => json!({"status": "error", "id": null, "error": self}),
            Envelope::OAuth => json!({"error": self.code, "error_description": self.message}),
            Envelope::Flat | Envelope::Framework => json!({"error": self}),
        }
    }

    /// Finds an error in an answer of any shape. Texts are cut to the limit for messages of providers.
    #[must_use]
    pub fn find(answer: &Value) -> Option<(Envelope, Self)> {
        let cut = |v: &Value| excerpt(v.as_str().unwrap_or_default(), PROVIDER_MESSAGE_CHARS);
        match &answer["error"] {
            Value::Object(error) => {
                let part = |name: &str| error.get(name).map(&cut).unwrap_or_default();
                let envelope = match (&answer["type"], &answer["status"]) {
                    (Value::String(_), _) => Envelope::Typed,
                    (_, Value::String(_)) => Envelope::Status,
                    _ => Envelope::Flat,
                };
                Some((envelope, Self::new(part("code"), part("message"))))
            }
            Value::String(code) => {
                Some((Envelope::OAuth, Self::new(excerpt(code, PROVIDER_MESSAGE_CHARS), cut(&answer["error_description"]))))
            }
            _ => match &answer["detail"] {
                Value::String(text) => Some((Envelope::Framework, Self::new("", excerpt(text, PROVIDER_MESSAGE_CHARS)))),
                Value::Array(items) => Some((Envelope::Framework, Self::new("", excerpt(&faults(items), PROVIDER_MESSAGE_CHARS)))),
                _ => None,
            },
        }
    }
}

/// Where and what, of a framework's list of faults. Such a list may repeat the request, secrets and all, so nothing else is taken.
fn faults(items: &[Value]) -> String {
    let part = |at: &Value| at.as_str().map_or_else(|| at.to_string(), str::to_owned);
    let fault = |item: &Value| {
        let place: Vec<String> = item["loc"].as_array().into_iter().flatten().map(part).collect();
        format!("{}: {}", place.join("."), item["msg"].as_str().unwrap_or("refused"))
    };
    items.iter().take(FAULTS).map(fault).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_envelope_is_found_again() {
        let body = ErrorBody::new("not_found", "no such thing");
        for envelope in [Envelope::Typed, Envelope::Status, Envelope::OAuth, Envelope::Flat] {
            assert_eq!(ErrorBody::find(&body.to_json(envelope)), Some((envelope, body.clone())));
        }
        let detail = ErrorBody::find(&json!({"detail": [{"loc": ["body"]}]})).unwrap();
        assert_eq!(detail.0, Envelope::Framework);
        let echo = json!({"detail": [{"type": "missing", "loc": ["body", "organisation"], "msg": "Field required", "input": {"confirmation_secret": "hunter2"}}]});
        let (_, told) = ErrorBody::find(&echo).unwrap();
        assert_eq!(told.message, "body.organisation: Field required");
    }

    #[test]
    fn an_explicit_null_is_no_error() {
        assert_eq!(ErrorBody::find(&json!({"status": "complete", "error": null})), None);
        assert_eq!(ErrorBody::find(&json!([])), None);
    }
}
