//! Who is told how long commits take, and how many there were.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type Told = Box<dyn Fn(Duration) + Send + Sync>;

/// Shared by all clones of one database. Only the first who asks is told.
#[derive(Clone, Default)]
pub struct Commits(Arc<Inner>);

#[derive(Default)]
struct Inner {
    told: OnceLock<Told>,
    tried: AtomicU64,
}

impl Commits {
    pub fn tell(&self, who: impl Fn(Duration) + Send + Sync + 'static) {
        // a second observer would be a mistake of ours, and costs no more than its numbers
        let _ = self.0.told.set(Box::new(who));
    }

    pub fn took(&self, took: Duration) {
        if let Some(told) = self.0.told.get() {
            told(took);
        }
    }

    /// Called after every commit that may have changed something, and before anybody learns of it; one that failed may have been kept
    /// all the same.
    pub fn tried(&self) {
        self.0.tried.fetch_add(1, Ordering::SeqCst);
    }

    pub fn count(&self) -> u64 {
        self.0.tried.load(Ordering::SeqCst)
    }
}
