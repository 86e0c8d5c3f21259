//! What a company publishes: its metadata (OpenID Connect Discovery 1.0, 4) and its keys, kept for a moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use purser_crypto::jose::ForeignKeys;
use purser_http::{FetchLimits, Fetched};
use purser_identity::sso::{Connection, SsoError};
use purser_values::Timestamp;
use serde::Deserialize;
use url::Url;

use super::Sso;

/// Largest answer that is read, in bytes, and longest wait for it.
const ANSWER_BYTES: usize = 256 * 1024;
const TIMEOUT_MS: u64 = 10_000;
/// How long metadata and keys are used, and how soon they are looked at again after a failure or for a key that is not there, in
/// seconds.
const LIFE_S: i64 = 300;
const AGAIN_S: i64 = 10;

pub(super) struct Known {
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub userinfo_endpoint: Option<Url>,
    /// Where a person signs out there (OpenID Connect RP-Initiated Logout 1.0).
    pub end_session_endpoint: Option<Url>,
    /// Whether it takes a secret in the body only.
    pub secret_in_body: bool,
    /// Whether its answers name it (RFC 9207).
    pub names_itself: bool,
    /// Whether it can ask which account is meant (`select_account`).
    pub lets_choose: bool,
    pub keys: ForeignKeys,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    end_session_endpoint: Option<Url>,
    jwks_uri: Url,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    prompt_values_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Sso {
    pub(super) async fn known(&self, connection: &Connection, now: Timestamp) -> Result<Arc<Known>, SsoError> {
        match self.0.known.get(&connection.name, now) {
            Some(kept) => kept.map_err(|()| SsoError::Unavailable),
            None => self.look(connection, now).await,
        }
    }

    /// Looks again, for a key that may be new; `None` when that was done just now.
    pub(super) async fn known_anew(&self, connection: &Connection, now: Timestamp) -> Option<Arc<Known>> {
        if self.0.known.is_younger_than(&connection.name, now, AGAIN_S) {
            return None;
        }
        self.look(connection, now).await.ok()
    }

    async fn look(&self, connection: &Connection, now: Timestamp) -> Result<Arc<Known>, SsoError> {
        let found = self.discover(connection).await.map(Arc::new);
        let life_s = if found.is_ok() { LIFE_S } else { AGAIN_S };
        let kept = found.as_ref().map(Arc::clone).map_err(|_| ());
        self.0.known.put(connection.name.clone(), kept, now, now.plus_secs(life_s));
        found
    }

    async fn discover(&self, connection: &Connection) -> Result<Known, SsoError> {
        let at = format!("{}/.well-known/openid-configuration", connection.issuer.trim_end_matches('/'));
        let at = Url::parse(&at).map_err(|_| SsoError::Unavailable)?;
        let metadata: Metadata = self.json(&at, HeaderMap::new()).await?;
        // metadata that speak for another issuer are not this one's (4.3)
        if metadata.issuer != connection.issuer {
            tracing::warn!(connection = %connection.name, "the metadata are another issuer's");
            return Err(SsoError::Unavailable);
        }
        for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
            self.is_usable(endpoint)?;
        }
        let userinfo_endpoint = metadata.userinfo_endpoint.filter(|url| self.is_usable(url).is_ok());
        let end_session_endpoint = metadata.end_session_endpoint.filter(|url| self.is_usable(url).is_ok());
        let keys = self.json(&metadata.jwks_uri, HeaderMap::new()).await?;
        let methods = metadata.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|one| one == method);
        Ok(Known {
            authorization_endpoint: metadata.authorization_endpoint,
            token_endpoint: metadata.token_endpoint,
            userinfo_endpoint,
            end_session_endpoint,
            secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
            lets_choose: metadata.prompt_values_supported.iter().any(|one| one == "select_account"),
            names_itself: metadata.authorization_response_iss_parameter_supported,
            keys,
        })
    }

    /// Outside a sandbox nothing of it is in the clear.
    fn is_usable(&self, url: &Url) -> Result<(), SsoError> {
        let secure = url.scheme() == "https" || (self.0.sandbox && url.scheme() == "http" && self.0.fetcher.trusts(url));
        if secure && url.fragment().is_none() { Ok(()) } else { Err(SsoError::Unavailable) }
    }

    pub(super) async fn json<T: serde::de::DeserializeOwned>(&self, url: &Url, mut headers: HeaderMap) -> Result<T, SsoError> {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let found = self.send(Method::GET, url, headers, Bytes::new()).await?;
        if found.status != StatusCode::OK {
            tracing::warn!(status = %found.status, "a company's sign-in does not answer as it should");
            return Err(SsoError::Unavailable);
        }
        serde_json::from_slice(&found.body).map_err(|_| SsoError::Unavailable)
    }

    pub(super) async fn send(&self, method: Method, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Fetched, SsoError> {
        let limits = FetchLimits { timeout: Duration::from_millis(TIMEOUT_MS), body_bytes: ANSWER_BYTES };
        self.0.fetcher.send(method, url, headers, body, limits).await.map_err(|e| {
            tracing::warn!(error = %e, "a company's sign-in cannot be reached");
            SsoError::Unavailable
        })
    }
}
