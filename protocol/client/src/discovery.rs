//! Meeting a provider: its manifest and the texts of its terms. Both are unsigned and belong to nobody yet.
//!
//! INVARIANT (no-widening): a manifest speaks for its own origin only; base and token address on another origin are refused.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use purser_http::{Fetched, Fetcher, Origin};
use purser_values::Sha256Digest;
use purser_wire::manifest::{self, Manifest, TermsDocument};
use purser_wire::metadata::{self, ServerMetadata};
use url::Url;

use crate::answer;
use crate::error::CallError;

/// Reads what providers publish.
#[derive(Clone, Debug)]
pub struct Discovery {
    fetcher: Fetcher,
}

/// Below the base URL, and where RFC 8414 puts the document of an issuer with a path.
fn metadata_places(base_url: &Url) -> Vec<Url> {
    let path = base_url.path().trim_matches('/');
    let below = base_url.join(metadata::PATH).ok();
    let inserted = (!path.is_empty()).then(|| base_url.join(&format!("/{}/{path}", metadata::PATH)).ok()).flatten();
    below.into_iter().chain(inserted).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the manifest names `{0}`, which is on another origin than the provider itself")]
    ForeignOrigin(String),
    #[error("the terms document `{id}` is not the one that the manifest promises: its SHA-256 is {found}")]
    TermsChanged { id: String, found: Sha256Digest },
}

impl Discovery {
    #[must_use]
    pub const fn new(fetcher: Fetcher) -> Self {
        Self { fetcher }
    }

    /// The manifest of the provider at `url`.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it names addresses of another origin.
    pub async fn manifest(&self, url: &Url) -> Result<Manifest, DiscoveryError> {
        let at = url.join(&format!("/{}", manifest::PATH)).map_err(|e| crate::client::unsendable(&e))?;
        let manifest: Manifest = answer::read(&self.get(&at).await?)?;
        for named in [&manifest.base_url, &manifest.token_url] {
            if Origin::of(named) != Origin::of(url) || named.scheme() != url.scheme() {
                return Err(DiscoveryError::ForeignOrigin(named.to_string()));
            }
        }
        Ok(manifest)
    }

    /// The bytes of a terms document, which are those that the manifest promises.
    ///
    /// # Errors
    /// When they cannot be had or differ.
    pub async fn terms(&self, document: &TermsDocument) -> Result<Bytes, DiscoveryError> {
        let fetched = self.get(&document.url).await?;
        if fetched.status != StatusCode::OK {
            let why = format!("the terms document `{}` cannot be had", purser_wire::text::excerpt(&document.id, 40));
            return Err(CallError::Garbage { why, received: answer::describe(&fetched) }.into());
        }
        let found = Sha256Digest::of(&fetched.body);
        if found != document.sha256 {
            return Err(DiscoveryError::TermsChanged { id: purser_wire::text::excerpt(&document.id, 40), found });
        }
        Ok(fetched.body)
    }

    /// Who the provider's authorization server says it is (RFC 8414), where it has such a document.
    ///
    /// # Errors
    /// When the provider does not answer. A document that cannot be read counts as none, one of another origin is refused.
    pub async fn authorization_server(&self, base_url: &Url) -> Result<Option<ServerMetadata>, DiscoveryError> {
        for at in metadata_places(base_url) {
            let found = match answer::read::<ServerMetadata>(&self.get(&at).await?) {
                Ok(found) => found,
                Err(CallError::Permanent { .. } | CallError::Garbage { .. }) => continue,
                Err(e) => return Err(e.into()),
            };
            let issuer = Url::parse(&found.issuer).ok();
            if issuer.as_ref().and_then(Origin::of) != Origin::of(base_url) || issuer.is_none_or(|i| i.scheme() != base_url.scheme()) {
                return Err(DiscoveryError::ForeignOrigin(purser_wire::text::excerpt(&found.issuer, 200)));
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    async fn get(&self, url: &Url) -> Result<Fetched, CallError> {
        Ok(self.fetcher.get(url, HeaderMap::new()).await?)
    }
}
