//! A small memory of things that were looked up, each until a moment of its own.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purser_values::Timestamp;

pub struct Kept<K, V> {
    most: usize,
    found: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: V,
    kept_at: Timestamp,
    until: Timestamp,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    pub fn new(most: usize) -> Self {
        Self { most, found: Mutex::default() }
    }

    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        self.lock().get(key).filter(|entry| now < entry.until).map(|entry| entry.value.clone())
    }

    /// Whether what is kept was looked up within the last `seconds`.
    pub fn is_younger_than(&self, key: &K, now: Timestamp, seconds: i64) -> bool {
        self.lock().get(key).is_some_and(|entry| now < entry.kept_at.plus_secs(seconds))
    }

    /// Keeps a value. When there is no room, what has run out goes first, and else everything: a stranger who fills it gains
    /// nothing but more look-ups.
    pub fn put(&self, key: K, value: V, now: Timestamp, until: Timestamp) {
        let mut found = self.lock();
        if found.len() >= self.most {
            found.retain(|_, entry| now < entry.until);
        }
        if found.len() >= self.most {
            found.clear();
        }
        found.insert(key, Entry { value, kept_at: now, until });
    }

    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_runs_out_and_never_grows_beyond_its_room() {
        let (kept, at) = (Kept::new(2), Timestamp::from_secs);
        kept.put("a", 1, at(0), at(10));
        assert_eq!((kept.get(&"a", at(9)), kept.get(&"a", at(10))), (Some(1), None));
        kept.put("b", 2, at(0), at(5));
        kept.put("c", 3, at(6), at(20));
        assert_eq!((kept.get(&"a", at(6)), kept.get(&"b", at(6)), kept.get(&"c", at(6))), (Some(1), None, Some(3)));
        kept.put("d", 4, at(6), at(20));
        assert_eq!((kept.get(&"c", at(6)), kept.get(&"d", at(6))), (None, Some(4)));
        kept.forget(&"d");
        assert_eq!(kept.get(&"d", at(6)), None);
    }
}
