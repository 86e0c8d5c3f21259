//! The orchestrator's public keys: given, or fetched and kept for five minutes. A key that is new there is fetched when it is first met.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use purser_crypto::jose::Jwk;
use purser_http::{FetchError, Fetcher};
use purser_values::Timestamp;
use purser_wire::keys::PublicKeys;
use tokio::sync::Mutex;
use url::Url;

/// How long fetched keys are used, in seconds.
const FRESH_S: i64 = 300;
/// How often unknown key names may cause a fetch, in seconds for one, and how many may at once: strangers choose key names, and an
/// orchestrator that changes its key in an emergency signs with the new one seconds later.
const RETRY_S: i64 = 5;
const RETRIES: i64 = 3;

/// Where the keys come from; cheap to clone.
#[derive(Clone, Debug)]
pub struct OrchestratorKeys(Arc<Source>);

#[derive(Debug)]
enum Source {
    Given(PublicKeys),
    Fetched { fetcher: Fetcher, url: Url, cache: Mutex<Cache> },
}

#[derive(Debug, Default)]
struct Cache {
    keys: Option<PublicKeys>,
    fetched_at: Option<Timestamp>,
    /// Fetches that are still free, as counted at a moment.
    retries: Option<(i64, Timestamp)>,
}

impl Cache {
    /// Takes one of the fetches that are free now, if there is one.
    fn may_try(&mut self, now: Timestamp) -> bool {
        let (free, at) = self.retries.unwrap_or((RETRIES, now));
        let earned = (now.as_secs() - at.as_secs()).max(0) / RETRY_S;
        let at = if earned > 0 || now < at { now } else { at };
        let free = free.saturating_add(earned).min(RETRIES);
        self.retries = Some(((free - 1).max(0), at));
        free > 0
    }
}

/// No key of that name can be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the orchestrator has no usable key of that name")]
    Unknown,
    #[error("the orchestrator's keys cannot be fetched: {0}")]
    Unavailable(String),
}

impl OrchestratorKeys {
    #[must_use]
    pub fn given(keys: PublicKeys) -> Self {
        Self(Arc::new(Source::Given(keys)))
    }

    /// Keys from `{orchestrator}/v2/provisioning/public_keys`.
    ///
    /// # Errors
    /// When the base address cannot carry a path.
    pub fn fetched(fetcher: Fetcher, orchestrator: &Url) -> Result<Self, url::ParseError> {
        let url = orchestrator.join(purser_wire::keys::PATH)?;
        Ok(Self(Arc::new(Source::Fetched { fetcher, url, cache: Mutex::default() })))
    }

    /// The key of that name.
    ///
    /// # Errors
    /// When the orchestrator has no such key, or none can be fetched.
    pub async fn find(&self, kid: &str, now: Timestamp) -> Result<Jwk, KeyError> {
        let (fetcher, url, cache) = match &*self.0 {
            Source::Given(keys) => return keys.find(kid, now).ok_or(KeyError::Unknown),
            Source::Fetched { fetcher, url, cache } => (fetcher, url, cache),
        };
        let mut cache = cache.lock().await;
        let fresh = cache.fetched_at.is_some_and(|at| now < at.plus_secs(FRESH_S));
        let known = cache.keys.as_ref().and_then(|keys| keys.find(kid, now));
        if let (true, Some(key)) = (fresh, &known) {
            return Ok(key.clone());
        }
        // without any keys, somebody of ours is waiting for them
        if !cache.may_try(now) && cache.keys.is_some() {
            return known.ok_or(KeyError::Unknown);
        }
        match fetch(fetcher, url).await {
            Ok(keys) => {
                let key = keys.find(kid, now).ok_or(KeyError::Unknown);
                cache.keys = Some(keys);
                cache.fetched_at = Some(now);
                key
            }
            // a key that was good is still good while the orchestrator cannot be asked; its own expiry ends it
            Err(cause) => known.ok_or(KeyError::Unavailable(cause)),
        }
    }
}

async fn fetch(fetcher: &Fetcher, url: &Url) -> Result<PublicKeys, String> {
    let answer = fetcher.get(url, HeaderMap::new()).await.map_err(|e: FetchError| e.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("the answer has status {}", answer.status.as_u16()));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "the answer is not a key document".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_fetches_are_free_at_once_and_then_one_every_five_seconds() {
        let mut cache = Cache::default();
        let mut tries = |s| cache.may_try(Timestamp::from_secs(s));
        assert_eq!([0, 0, 1, 1, 4].map(&mut tries), [true, true, true, false, false]);
        assert_eq!([5, 6, 9, 10, 11].map(&mut tries), [true, false, false, true, false]);
        assert_eq!([1_000, 1_000, 1_000, 1_001].map(&mut tries), [true, true, true, false]);
        assert_eq!([500, 504, 505].map(&mut tries), [false, false, true], "a clock that was set back");
    }
}
