//! What every use case runs on.

use std::sync::Arc;

use purser_crypto::seal::Keyring;
use purser_db::Db;
use purser_values::Env;
use tokio::sync::Notify;

/// The process's store, clock, keys and log, cheap to clone.
#[derive(Clone)]
pub struct Core {
    pub db: Db,
    pub env: Env,
    /// The key-encryption key that seals credentials, signing keys and mail in the queue.
    pub keyring: Keyring,
    pub audit: purser_audit::Log,
    /// Wakes the job runner after a write that enqueued.
    pub jobs: Arc<Notify>,
}
