//! Places for uploads in memory: a few for everybody, fewer for each account, so that one account cannot keep the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use purser_values::id::CloudAccountId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Uploads in memory at a time. Each may be as large as the largest body.
const ALL: usize = 4;
/// Uploads of one account in memory at a time.
const EACH: usize = 2;

/// The places.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    each: Mutex<HashMap<CloudAccountId, Weak<Semaphore>>>,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), each: Mutex::default() }
    }
}

impl Places {
    /// Waits for a place of the account's and then for one of everybody's; both are free again when the permits are dropped.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn take(&self, account: &CloudAccountId) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let own = self.of(account).acquire_owned().await?;
        Ok([own, self.all.clone().acquire_owned().await?])
    }

    fn of(&self, account: &CloudAccountId) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = each.get(account).and_then(Weak::upgrade) {
            return found;
        }
        each.retain(|_, semaphore| semaphore.strong_count() > 0);
        let fresh = Arc::new(Semaphore::new(EACH));
        each.insert(account.clone(), Arc::downgrade(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::{Env, Timestamp};

    #[tokio::test]
    async fn one_account_leaves_places_for_the_others() {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let (one, two) = (CloudAccountId::mint(&env), CloudAccountId::mint(&env));
        let places = Places::default();
        let held = (places.take(&one).await.unwrap(), places.take(&one).await.unwrap());
        let third = tokio::time::timeout(std::time::Duration::from_millis(20), places.take(&one)).await;
        assert!(third.is_err(), "an account took more than its places");
        assert!(places.take(&two).await.is_ok());
        drop(held);
        assert!(places.take(&one).await.is_ok());
    }
}
