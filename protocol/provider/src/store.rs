//! What the SDK must remember, as a trait that a provider implements over its database.
//!
//! No secret is ever given to a store: tokens and codes come as digests, kept answers come sealed. Every method is one
//! atomic step; the invariants that hang on it are named.

use std::future::Future;

use purser_values::{Sha256Digest, Timestamp};
use purser_wire::control::ControlOrder;
use purser_wire::id::{AccountId, AccountRequestId, LinkId};

mod memory;

pub use memory::MemoryStore;

/// A store failed. The caller gets `server_error`, the log gets the cause.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

type Stored<T> = Result<T, StoreError>;

/// An authorization code that waits for its one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRecord {
    pub account: AccountId,
    /// The account request that it answers.
    pub request: Option<AccountRequestId>,
    /// PKCE challenge (S256), when the request carried one.
    pub challenge: Option<String>,
    /// What the tokens that it buys will hang on, at a provider that has links.
    pub link: Option<LinkId>,
    pub expires_at: Timestamp,
}

/// What a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub account: AccountId,
    /// A provider whose customers can cut one orchestrator off hangs tokens on a link; without the link they are dead.
    pub link: Option<LinkId>,
    /// Nothing when the provider has no scopes: then a token may do everything.
    pub scopes: Option<Vec<String>>,
}

impl Access {
    /// To a whole account, at a provider without links and scopes.
    #[must_use]
    pub const fn whole(account: AccountId) -> Self {
        Self { account, link: None, scopes: None }
    }
}

/// A pair of tokens, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRecord {
    pub access: Sha256Digest,
    pub refresh: Sha256Digest,
    pub access_expires_at: Timestamp,
    pub refresh_expires_at: Timestamp,
}

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    Done(Access),
    /// Unknown, expired or already used. When it was already used, the pair that it bought (and every pair refreshed from that) is
    /// revoked in the same step: one of the two users was a thief (RFC 6749, 4.1.2).
    Refused,
}

/// An answer that was given to a change, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    pub status: u16,
    pub sealed: Vec<u8>,
}

/// What is known about an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Never seen; it is recorded now, before anything happens.
    New,
    /// Begun by a process that died before it answered.
    Unfinished,
    Finished(KeptAnswer),
    /// Seen with another request.
    Conflict,
}

/// Tokens, codes, nonces and answers. Methods may be `async fn`.
pub trait Store: Send + Sync + 'static {
    /// INVARIANT (no-replay): true for exactly one caller per `nonce` until it expires.
    fn nonce_use(&self, nonce: Sha256Digest, expires_at: Timestamp, now: Timestamp) -> impl Future<Output = Stored<bool>> + Send;

    fn code_put(&self, code: Sha256Digest, record: CodeRecord) -> impl Future<Output = Stored<()>> + Send;

    /// The code, used or not, expired or not; it stays as it is.
    fn code_find(&self, code: Sha256Digest) -> impl Future<Output = Stored<Option<CodeRecord>>> + Send;

    /// INVARIANT (code-once): marks the code as used and records the pair, in one step, for exactly one caller.
    fn code_exchange(&self, code: Sha256Digest, pair: PairRecord, now: Timestamp) -> impl Future<Output = Stored<Exchange>> + Send;

    /// Records a pair that no code stands for (direct credentials).
    fn pair_put(&self, account: AccountId, link: Option<LinkId>, pair: PairRecord) -> impl Future<Output = Stored<()>> + Send;

    /// INVARIANT (refresh-once): replaces the living pair of this refresh token by `pair`, in one step, for exactly one caller;
    /// both old tokens are dead afterwards. Returns what it opens; nothing when the token is unknown, dead or expired.
    fn pair_rotate(&self, refresh: Sha256Digest, pair: PairRecord, now: Timestamp) -> impl Future<Output = Stored<Option<Access>>> + Send;

    /// What a living access token opens, read anew on every call: a link that was cut a moment ago opens nothing.
    fn access_find(&self, access: Sha256Digest, now: Timestamp) -> impl Future<Output = Stored<Option<Access>>> + Send;

    /// Looks the key up in its scope and records it when it is new, in one step. A kept answer may be forgotten after a day.
    fn answer_begin(
        &self,
        scope: AccountId,
        key: String,
        request: Sha256Digest,
        now: Timestamp,
    ) -> impl Future<Output = Stored<Begun>> + Send;

    fn answer_finish(&self, scope: AccountId, key: String, answer: KeptAnswer) -> impl Future<Output = Stored<()>> + Send;

    /// INVARIANT (control-order): notes the number of a control of the subject in the account, in one step; where a higher one was noted,
    /// answers that one and notes nothing. An equal one is a repeat.
    fn control_begin(
        &self,
        account: AccountId,
        subject: String,
        order: ControlOrder,
    ) -> impl Future<Output = Stored<Option<ControlOrder>>> + Send;
}
