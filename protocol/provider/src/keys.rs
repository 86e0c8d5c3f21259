//! The orchestrator's public keys: given, or fetched and kept for five minutes.

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
/// How soon an unknown key name may cause another fetch, in seconds: strangers choose key names.
const RETRY_S: i64 = 5;

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
    tried_at: Option<Timestamp>,
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
        if cache.tried_at.is_some_and(|at| now < at.plus_secs(RETRY_S) && at <= now) && cache.keys.is_some() {
            return known.ok_or(KeyError::Unknown);
        }
        cache.tried_at = Some(now);
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
