//! Who is told how long commits take.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

type Told = Box<dyn Fn(Duration) + Send + Sync>;

/// Shared by all clones of one database. Only the first who asks is told.
#[derive(Clone, Default)]
pub struct Commits(Arc<OnceLock<Told>>);

impl Commits {
    pub fn tell(&self, who: impl Fn(Duration) + Send + Sync + 'static) {
        // a second observer would be a mistake of ours, and costs no more than its numbers
        let _ = self.0.set(Box::new(who));
    }

    pub fn took(&self, took: Duration) {
        if let Some(told) = self.0.get() {
            told(took);
        }
    }
}
