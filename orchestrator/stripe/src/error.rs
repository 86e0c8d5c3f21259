//! What Stripe says no with, sorted by what it means for us.

use http::StatusCode;
use purser_spend::rail::RailError;
use serde::Deserialize;

use crate::object::PaymentIntent;

#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// The bank or Stripe refused the payment method.
    #[error("declined: {code}")]
    Card { code: String, message: String, intent: Option<Box<PaymentIntent>> },
    /// The request cannot be done as it is; nothing happened.
    #[error("refused: {code}: {message}")]
    Refused { code: String, message: String },
    /// There is no such thing, or no such route for this account.
    #[error("not found: {code}")]
    Missing { code: String },
    /// The outcome is not known, or the same request may work later.
    #[error("no answer: {0}")]
    Unknown(String),
}

impl From<StripeError> for RailError {
    fn from(e: StripeError) -> Self {
        Self(e.to_string())
    }
}

#[derive(Deserialize)]
struct Body {
    error: Detail,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    code: String,
    decline_code: Option<String>,
    message: String,
    payment_intent: Option<Box<PaymentIntent>>,
}

/// Longest text of Stripe's that is kept, in characters.
const TEXT_CHARS: usize = 300;

impl StripeError {
    /// Reads an answer whose status is no success.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        let detail = serde_json::from_slice::<Body>(body).map(|body| body.error).unwrap_or_default();
        let message: String = detail.message.chars().take(TEXT_CHARS).collect();
        let code = if detail.code.is_empty() { format!("status_{}", status.as_u16()) } else { detail.code };
        match status {
            StatusCode::PAYMENT_REQUIRED => {
                // The bank's own word, where there is one, says more than `card_declined`.
                let code = match detail.decline_code {
                    Some(bank) if code == "card_declined" => {
                        if bank == "generic_decline" {
                            code
                        } else {
                            bank
                        }
                    }
                    _ => code,
                };
                Self::Card { code, message, intent: detail.payment_intent }
            }
            StatusCode::NOT_FOUND => Self::Missing { code },
            // A key that belongs to another request is our own mistake; one in use means that the first try is still under way.
            _ if detail.kind == "idempotency_error" || code == "idempotency_key_in_use" || status == StatusCode::CONFLICT => {
                Self::Unknown(format!("the idempotency key is in use or belongs to another request ({code})"))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                tracing::error!(status = status.as_u16(), code, "Stripe does not take our key; an operator must look");
                Self::Unknown(format!("Stripe does not take our key ({code})"))
            }
            StatusCode::TOO_MANY_REQUESTS => Self::Unknown("too many requests".to_owned()),
            _ if status.is_client_error() => Self::Refused { code, message },
            _ => Self::Unknown(format!("the answer has status {}", status.as_u16())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> StripeError {
        StripeError::read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn each_answer_means_one_thing() {
        let card = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"no"}}"#;
        assert!(matches!(read(402, card), StripeError::Card { code, intent: None, .. } if code == "insufficient_funds"));
        let generic = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"generic_decline","message":"no"}}"#;
        assert!(matches!(read(402, generic), StripeError::Card { code, .. } if code == "card_declined"));
        let bank = r#"{"error":{"type":"card_error","code":"authentication_required","decline_code":"authentication_required","message":"x",
            "payment_intent":{"id":"pi_1","status":"requires_payment_method"}}}"#;
        assert!(matches!(read(402, bank), StripeError::Card { code, intent: Some(intent), .. }
            if code == "authentication_required" && intent.id == "pi_1"));
        assert!(matches!(read(404, "404: Not Found"), StripeError::Missing { code } if code == "status_404"));
        assert!(matches!(read(400, r#"{"error":{"type":"invalid_request_error","code":"amount_too_small"}}"#),
            StripeError::Refused { code, .. } if code == "amount_too_small"));
        for (status, body) in [
            (400, r#"{"error":{"type":"idempotency_error","message":"other parameters"}}"#),
            (409, r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#),
            (409, r#"{"error":{"type":"invalid_request_error","code":"idempotency_key_in_use"}}"#),
            (429, r#"{"error":{"code":"rate_limit"}}"#),
            (500, ""),
            (503, "<html>"),
            (401, "{}"),
        ] {
            assert!(matches!(read(status, body), StripeError::Unknown(_)), "{status} {body}");
        }
    }
}
