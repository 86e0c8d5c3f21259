//! The keys of another issuer, found by its metadata (OpenID Connect Discovery 1.0, 4), through the guarded fetcher.

use std::sync::Arc;

use http::StatusCode;
use purser_crypto::jose::ForeignKeys;
use purser_identity::workload::{Statement, StatementError, Trust};
use purser_values::Timestamp;
use serde::Deserialize;
use url::Url;

use super::Clients;

/// Largest metadata and key set that are read, in bytes.
const METADATA_BYTES: usize = 64 * 1024;
const KEY_SET_BYTES: usize = 256 * 1024;
/// How long keys are used, and how soon they are looked at again for a key that is not among them, in seconds.
const KEYS_LIFE_S: i64 = 300;
const KEYS_AGAIN_S: i64 = 10;

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Url,
}

impl Clients {
    /// Checks what an issuer says of a workload. A key that is not among the kept ones may be new: they are then fetched once more.
    pub(in crate::oidc) async fn check_workload(&self, trust: &Trust, token: &str, now: Timestamp) -> Result<Statement, StatementError> {
        let issuer = trust.facts.issuer.as_str();
        let name = issuer.to_owned();
        let kept = self.0.issuer_keys.get(&name, now);
        if let Some(keys) = &kept {
            let checked = Statement::check(token, trust, keys, now);
            if !matches!(checked, Err(StatementError::NoKey)) || self.0.issuer_keys.is_younger_than(&name, now, KEYS_AGAIN_S) {
                return checked;
            }
        }
        let (keys, life_s) = match self.fetch_issuer(issuer).await {
            Some(keys) => (Arc::new(keys), KEYS_LIFE_S),
            // a failure stands for a moment too, so that nobody has us knock at somebody else's door without end
            None => (kept.unwrap_or_default(), KEYS_AGAIN_S),
        };
        self.0.issuer_keys.put(name, keys.clone(), now, now.plus_secs(life_s));
        Statement::check(token, trust, &keys, now)
    }

    async fn fetch_issuer(&self, issuer: &str) -> Option<ForeignKeys> {
        let at = Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).ok()?;
        let found = self.guarded(&at, METADATA_BYTES).await.filter(|found| found.status == StatusCode::OK)?;
        let metadata: Metadata = serde_json::from_slice(&found.body).ok()?;
        // metadata that speak for another issuer are not this one's (Discovery 1.0, 4.3)
        if metadata.issuer != issuer {
            return None;
        }
        let found = self.guarded(&metadata.jwks_uri, KEY_SET_BYTES).await.filter(|found| found.status == StatusCode::OK)?;
        serde_json::from_slice(&found.body).ok()
    }
}
