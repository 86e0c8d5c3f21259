//! How much of the way out one account may have, so that others have some too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use purser_values::id::CloudAccountId;

use crate::limits;

#[derive(Clone, Default)]
pub struct Quotas(Arc<Mutex<HashMap<CloudAccountId, Quota>>>);

struct Quota {
    open: usize,
    /// Requests that may be made at once, and since when that is so.
    tokens: f64,
    since: Instant,
}

/// One connection; given back when dropped.
pub struct Place(Quotas, CloudAccountId);

impl Quotas {
    /// A place for a connection, unless the account has all of its own.
    pub fn connection(&self, account: &CloudAccountId) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = all.entry(account.clone()).or_insert_with(Quota::full);
        if quota.open >= limits::EGRESS_CONNECTIONS {
            return None;
        }
        quota.open += 1;
        Some(Place(self.clone(), account.clone()))
    }

    /// Whether the account may make one more request now.
    pub fn request(&self, account: &CloudAccountId) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = all.entry(account.clone()).or_insert_with(Quota::full);
        let now = Instant::now();
        let gained = now.duration_since(quota.since).as_secs_f64() * limits::EGRESS_PER_S;
        (quota.tokens, quota.since) = ((quota.tokens + gained).min(limits::EGRESS_BURST), now);
        let allowed = quota.tokens >= 1.0;
        if allowed {
            quota.tokens -= 1.0;
        }
        allowed
    }
}

impl Quota {
    fn full() -> Self {
        Self { open: 0, tokens: limits::EGRESS_BURST, since: Instant::now() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = all.get_mut(&self.1) {
            quota.open -= 1;
            if quota.open == 0 && quota.tokens >= limits::EGRESS_BURST {
                all.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::{Env, Timestamp};

    #[test]
    fn an_account_that_takes_all_of_its_own_takes_nothing_of_anothers() {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let (greedy, other) = (CloudAccountId::mint(&env), CloudAccountId::mint(&env));
        let quotas = Quotas::default();
        let held: Vec<_> = (0..limits::EGRESS_CONNECTIONS).map(|_| quotas.connection(&greedy).unwrap()).collect();
        assert!(quotas.connection(&greedy).is_none());
        assert!(quotas.connection(&other).is_some());
        drop(held);
        assert!(quotas.connection(&greedy).is_some());
        let made = (0..10_000).filter(|_| quotas.request(&greedy)).count();
        assert!(made < 1_000, "{made}");
        assert!(quotas.request(&other));
    }
}
