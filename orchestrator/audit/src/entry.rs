//! One entry of the log and its place in the chain.

use purser_authority::Event;
use purser_values::id::EventId;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// What an entry says. Its stored text is what is hashed, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: EventId,
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// The text of a new entry, which an [`Entry`] is read from again.
pub(crate) fn text(id: &EventId, at: Timestamp, event: &Event) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct New<'a> {
        id: &'a EventId,
        at: Timestamp,
        #[serde(flatten)]
        event: &'a Event,
    }
    serde_json::to_string(&New { id, at, event })
}

/// The hash that stands before the first entry.
pub(crate) fn genesis() -> Sha256Digest {
    Sha256Digest::of(b"purser audit log, version 1")
}

/// INVARIANT (audit-chain): an entry's hash covers the hash before it, its number and its text.
pub(crate) fn chain_hash(previous: &Sha256Digest, seq: i64, body: &str) -> Sha256Digest {
    Sha256Digest::of_parts(&[previous.as_bytes(), &seq.to_be_bytes(), body.as_bytes()])
}
