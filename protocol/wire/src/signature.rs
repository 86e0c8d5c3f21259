//! The three signatures of the protocol.
//!
//! | module | from → to | what it proves |
//! | --- | --- | --- |
//! | [`hmac`] | orchestrator → provider | knowledge of the shared secret, the body, freshness; every implementation has it |
//! | [`v2`] | orchestrator → provider | a key, method, URL, body, freshness, single use |
//! | [`message`] | provider → orchestrator | a key, method, URL, body, idempotency key, freshness, single use (RFC 9421) |
//!
//! Verifying is pure: nonces (`jti`, `nonce`) come back to the caller, who must use each once and keep it until it expires.

pub mod hmac;
pub mod message;
pub mod v2;

/// Why a signature is not accepted. The variants are for the log; the other party only learns `invalid_signature`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("there is no signature")]
    Missing,
    #[error("the signature header is malformed")]
    Malformed,
    #[error("the signature's time is too far from ours")]
    Stale,
    #[error("the signature was made with a key that is not known")]
    UnknownKey,
    #[error("the signature does not match")]
    Mismatch,
    #[error("the signature covers another method, address or body")]
    OtherMessage,
    #[error("the signing key cannot be used")]
    Key,
}
