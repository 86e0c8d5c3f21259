//! Signed messages to addresses that an organisation names (Standard Webhooks).
//!
//! A person adds an address and is shown its secret once. Each message is one job for each address: enqueued in the write that causes
//! it, sent through the guarded fetcher, repeated with the same `webhook-id` until the address takes it or its tries are used up. What
//! an address missed it reads from `GET /v1/events?after=`.
//!
//! INVARIANT (webhook-is-a-persons): an agent neither adds an address nor learns of one.

mod manage;
mod send;

use purser_authority::Denied;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};

pub use manage::{Added, Wanted, add, list, remove, rotate, test};
pub use send::{JOB, Message, jobs_for, send};

/// Most addresses of one organisation.
pub const ENDPOINTS: usize = 20;
/// Longest address and description, in characters.
pub const URL_CHARS: usize = 2_000;
pub const DESCRIPTION_CHARS: usize = 200;
/// How long the secret before the current one signs too, in seconds.
pub const OVERLAP_S: i64 = 24 * 3_600;
/// The waits between tries, in seconds: ten tries over three days, as Standard Webhooks advises. Whoever takes none of them is not
/// asked again until a person adds the address anew.
pub const WAITS_S: [i64; 9] = [5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 10 * 3_600, 14 * 3_600, 20 * 3_600, 24 * 3_600];

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("messages cannot be sent to `{host}`: {why}")]
    Address { host: String, why: &'static str },
    #[error("the address is longer than {URL_CHARS} or its description than {DESCRIPTION_CHARS} characters, or it has a part after `#`")]
    Form,
    #[error("there are {ENDPOINTS} addresses already")]
    TooMany,
    #[error("there is no such webhook")]
    Unknown,
    #[error("the webhook is disabled: {0}")]
    Disabled(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for WebhookError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Address { .. } => "webhook_address",
            Self::Form => "webhook_form",
            Self::TooMany => "too_many_webhooks",
            Self::Unknown => "webhook_unknown",
            Self::Disabled(_) => "webhook_disabled",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Address { .. } | Self::Form => Kind::Invalid,
            Self::TooMany => Kind::RateLimited,
            Self::Unknown => Kind::NotFound,
            Self::Disabled(_) => Kind::Conflict,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Denied(e) => return e.hint(),
            Self::Address { .. } => "give a public https address; the operator can allow others in `fetch_allow`".to_owned(),
            Self::Form => "give the address alone, and a few words for people".to_owned(),
            Self::TooMany => "remove an address that nobody needs any more".to_owned(),
            Self::Unknown => "run `purser webhook list` for those there are".to_owned(),
            Self::Disabled(_) => "mend the receiver, remove this webhook and add its address anew".to_owned(),
            Self::Store(e) => return e.hint(),
        })
    }
}
