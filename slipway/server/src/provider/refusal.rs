//! Our own errors in the words of the protocol.

use http::StatusCode;
use purser_db::DbError;
use purser_provider::ProviderError;
use purser_values::error::{Kind, PublicError};
use slipway_accounts::quote::QuoteAcceptError;
use slipway_accounts::resource::begin::ResourceBeginError;
use slipway_workers::WorkersError;

use crate::abuse::judge::Refused;
use crate::billing::standing::StandingError;

/// A failure of the store: a repeat may get past it.
pub fn store(e: &DbError) -> ProviderError {
    ProviderError { retry_after: Some(1), ..ProviderError::internal(e) }
}

/// A failure of the runtime, where none was to be expected.
pub fn workers(e: &WorkersError) -> ProviderError {
    ProviderError { retry_after: Some(1), ..ProviderError::internal(e) }
}

/// The sites of an account did not follow: a repeat may get past it.
pub fn standing(e: &StandingError) -> ProviderError {
    ProviderError { retry_after: Some(1), ..ProviderError::internal(e) }
}

/// An error that knows its own code and kind.
pub fn public(e: &dyn PublicError) -> ProviderError {
    let kind = e.kind();
    if kind == Kind::Internal {
        tracing::error!(error = %e, "a call failed on our side");
    }
    let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = format!("{e}; {}", e.advice());
    ProviderError { retry_after: kind.is_transient().then_some(1), ..ProviderError::new(status, e.code(), message) }
}

/// What detectors refuse or hold back.
pub fn abuse(e: &Refused) -> ProviderError {
    match e {
        Refused::Blocked(_) => ProviderError::new(StatusCode::FORBIDDEN, "abuse_refused", e.to_string()),
        Refused::Held { .. } | Refused::TooFast { .. } => ProviderError::new(StatusCode::FORBIDDEN, "abuse_held", e.to_string()),
        Refused::Unjudged(_) => ProviderError { retry_after: Some(1), ..ProviderError::internal(e) },
        Refused::Store(e) => store(e),
    }
}

pub fn begin(e: &ResourceBeginError) -> ProviderError {
    let status = match e {
        ResourceBeginError::Store(e) => return store(e),
        ResourceBeginError::LinkCut => StatusCode::UNAUTHORIZED,
        ResourceBeginError::AccountFrozen | ResourceBeginError::AgentStopped | ResourceBeginError::Suspended => StatusCode::FORBIDDEN,
        ResourceBeginError::Claimed | ResourceBeginError::KeyConflict => StatusCode::CONFLICT,
        ResourceBeginError::PlanNeeded | ResourceBeginError::TooMany => StatusCode::BAD_REQUEST,
    };
    ProviderError::new(status, e.code(), e.to_string())
}

pub fn quote(e: &QuoteAcceptError) -> ProviderError {
    match e {
        QuoteAcceptError::Store(e) => store(e),
        _ => ProviderError::new(StatusCode::BAD_REQUEST, e.code(), e.to_string()),
    }
}
