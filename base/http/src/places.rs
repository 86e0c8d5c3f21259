//! Places for what is held in memory, uploads above all: a few for everybody, fewer for each tenant, so that one tenant cannot keep
//! the others waiting.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The places, by tenant.
#[derive(Debug)]
pub struct Places<K> {
    all: Arc<Semaphore>,
    most: usize,
    each: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// Places for `all` together, of which one tenant may take `each`.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), most: each, each: Mutex::default() }
    }

    /// Waits for a place of the tenant's and then for one of everybody's; both are free again when the permits are dropped.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn take(&self, tenant: &K) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        self.take_many(tenant, 1).await
    }

    /// Several at once. More than one tenant may have is never given.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn take_many(&self, tenant: &K, count: u32) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let own = self.of(tenant).acquire_many_owned(count).await?;
        Ok([own, self.all.clone().acquire_many_owned(count).await?])
    }

    fn of(&self, tenant: &K) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = each.get(tenant).and_then(Weak::upgrade) {
            return found;
        }
        each.retain(|_, semaphore| semaphore.strong_count() > 0);
        let fresh = Arc::new(Semaphore::new(self.most));
        each.insert(tenant.clone(), Arc::downgrade(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_tenant_leaves_places_for_the_others() {
        let (one, two) = ("one", "two");
        let places = Places::new(4, 2);
        let held = (places.take(&one).await.unwrap(), places.take(&one).await.unwrap());
        let third = tokio::time::timeout(std::time::Duration::from_millis(20), places.take(&one)).await;
        assert!(third.is_err(), "a tenant took more than its places");
        assert!(places.take(&two).await.is_ok());
        drop(held);
        assert!(places.take(&one).await.is_ok());
    }
}
