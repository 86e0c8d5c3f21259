//! The keys of a client: in its metadata, or at its `jwks_uri`.

use std::sync::Arc;

use http::StatusCode;
use purser_identity::client::assertion::{Assertion, AssertionError};
use purser_identity::client::{Client, KeySet};
use purser_values::Timestamp;
use url::Url;

use super::Clients;

/// Largest key set that is read, in bytes.
const KEY_SET_BYTES: usize = 64 * 1024;
/// How long a key set is used, and how soon it is looked at again for a key that is not in it, in seconds.
const KEY_SET_LIFE_S: i64 = 300;
const KEY_SET_AGAIN_S: i64 = 10;

impl Clients {
    /// Checks a client's assertion. A key that is not in the kept set may be new: the set is then fetched once more.
    pub(in crate::oidc) async fn check_assertion(
        &self,
        client: &Client,
        assertion: &str,
        audiences: &[&str],
        now: Timestamp,
    ) -> Result<Assertion, AssertionError> {
        if let Some(keys) = &client.metadata.jwks {
            return Assertion::check(assertion, &client.id, keys, audiences, now);
        }
        let Some(uri) = &client.metadata.jwks_uri else { return Err(AssertionError::NoKey) };
        let kept = self.0.key_sets.get(uri, now);
        if let Some(keys) = &kept {
            let checked = Assertion::check(assertion, &client.id, keys, audiences, now);
            if !matches!(checked, Err(AssertionError::NoKey)) || self.0.key_sets.is_younger_than(uri, now, KEY_SET_AGAIN_S) {
                return checked;
            }
        }
        let keys = self.fetch_keys(uri, now).await.ok_or(AssertionError::NoKey)?;
        Assertion::check(assertion, &client.id, &keys, audiences, now)
    }

    async fn fetch_keys(&self, uri: &Url, now: Timestamp) -> Option<Arc<KeySet>> {
        let fetched = self.guarded(uri, KEY_SET_BYTES).await.filter(|fetched| fetched.status == StatusCode::OK)?;
        let keys: Arc<KeySet> = Arc::new(serde_json::from_slice(&fetched.body).ok()?);
        self.0.key_sets.put(uri.clone(), keys.clone(), now, now.plus_secs(KEY_SET_LIFE_S));
        Some(keys)
    }
}
