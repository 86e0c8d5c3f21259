//! Wakes the polls that wait for a person, and keeps each device code to one held poll.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use purser_values::Sha256Digest;
use tokio::sync::watch;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Decisions {
    made: watch::Sender<u64>,
    held: Arc<Mutex<HashSet<Sha256Digest>>>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { made: watch::Sender::new(0), held: Arc::default() }
    }
}

impl Decisions {
    /// Tells every held poll to look again: a person has decided something.
    pub fn ring(&self) {
        self.made.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.made.subscribe()
    }

    /// Holds a poll for a device code, unless one is held already.
    pub(super) fn hold(&self, code: Sha256Digest) -> Option<Held> {
        let fresh = self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(code);
        fresh.then(|| Held { code, held: self.held.clone() })
    }
}

/// A held poll; dropping it (also when the client goes away) lets the next one in.
#[derive(Debug)]
pub(super) struct Held {
    code: Sha256Digest,
    held: Arc<Mutex<HashSet<Sha256Digest>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.code);
    }
}
