//! Queues: messages that are delivered at least once, in batches, until a consumer takes them or they have been tried often enough.
//!
//! INVARIANT (leased): a message that somebody works on is hidden from others until its lease runs out, and only the holder of the lease
//! can take it off the queue or put it back. So a consumer that dies costs a delay and never a message.

pub mod binding;
pub mod consumer;
pub mod deliver;
pub mod manage;
pub mod metrics;
pub mod purge;
pub mod send;
pub mod settle;
pub mod take;

use std::str::FromStr;

/// What a message's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Text,
    Json,
    Bytes,
    /// A value as V8 serialises it.
    V8,
}

impl Content {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::V8 => "v8",
        }
    }
}

/// The text is no kind of content.
#[derive(Debug, thiserror::Error)]
#[error("a message is `text`, `json`, `bytes` or `v8`")]
pub struct ParseContentError;

impl FromStr for Content {
    type Err = ParseContentError;
    fn from_str(text: &str) -> Result<Self, ParseContentError> {
        [Self::Text, Self::Json, Self::Bytes, Self::V8].into_iter().find(|one| one.as_str() == text).ok_or(ParseContentError)
    }
}
