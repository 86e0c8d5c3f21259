//! Failures at the seam to providers, in the words of sagas.

use purser_client::CallError;
use purser_flow::{Failure, StepCx, StepError};
use purser_values::error::Kind;
use purser_wire::text::excerpt;

/// Garbled answers that are asked for again before the provider is taken at its word.
const GARBAGE_TRIES: i64 = 4;

/// A failure with a stable code.
pub fn failure(code: &str, kind: Kind, message: impl Into<String>, hint: Option<&str>) -> Failure {
    Failure { code: code.to_owned(), kind: kind.name().to_owned(), message: message.into(), hint: hint.map(str::to_owned), details: None }
}

pub fn permanent(code: &str, kind: Kind, message: impl Into<String>, hint: Option<&str>) -> StepError {
    StepError::Permanent(failure(code, kind, message, hint))
}

/// What a failed call means for the step that made it.
pub fn of_call(cx: &StepCx, e: &CallError) -> StepError {
    of_try(cx.tries, e)
}

/// The same for a call that was tried so often before.
pub fn of_try(tries: i64, e: &CallError) -> StepError {
    match e {
        CallError::Transient { why, retry_after } => {
            StepError::Transient { why: why.clone(), after_ms: retry_after.map(|s| u64::from(s) * 1_000) }
        }
        // The outcome is unknown: the same call with the same key tells.
        CallError::Garbage { .. } if tries < GARBAGE_TRIES => StepError::transient(e),
        CallError::Garbage { .. } => {
            permanent("provider_garbage", Kind::Provider, e.to_string(), Some("tell the provider; what was begun is undone"))
        }
        CallError::Permanent { error, .. } => StepError::Permanent(refused(&error.code, &error.message)),
    }
}

/// A provider's refusal under our own stable code; its code and words are kept as data, not as instructions.
pub fn refused(code: &str, message: &str) -> Failure {
    let (ours, kind, hint) = match code {
        "requires_payment_credentials" | "billing_activation_failed" | "payment_declined" => {
            ("payment_declined", Kind::Payment, "ask your person to check the card; nothing was bought")
        }
        "unknown_service" => ("service_unknown", Kind::Invalid, "run `purser catalog` for what there is"),
        "domain_taken" | "domain_unavailable" | "taken" => ("domain_taken", Kind::Conflict, "choose another name; nothing was bought"),
        "domain_premium" => (
            "domain_premium",
            Kind::Invalid,
            "state its exact price in `--config` as the catalogue says and ask your person with `purser approval ask`, or choose another name",
        ),
        "domain_suffix_unsupported" => ("domain_suffix_unsupported", Kind::Invalid, "choose a name below a suffix that is sold there"),
        "domain_invalid" | "invalid_configuration" | "invalid_domain" | "invalid_request" | "invalid_fields" => {
            ("configuration_invalid", Kind::Invalid, "compare `--config` with the service's schema in `purser catalog`")
        }
        "rate_limited" => ("provider_busy", Kind::RateLimited, "try again later"),
        _ => ("provider_refused", Kind::Provider, "what was begun is undone; see the provider's message"),
    };
    let mut failure = failure(ours, kind, format!("the provider refused: {}", excerpt(message, 300)), Some(hint));
    failure.details = Some(serde_json::json!({ "provider_code": excerpt(code, 64), "provider_message": excerpt(message, 300) }));
    failure
}
