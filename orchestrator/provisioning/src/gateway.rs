//! The providers of this installation: how to reach each, and what it publishes.
//!
//! What a provider publishes (manifest, terms, services) is fetched at the start and every few minutes, kept in the store,
//! and used from there: a provider that is down keeps its place in the catalogue.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use purser_client::{Discovery, DiscoveryError, Identity, ProviderClient, ProviderEndpoint, Signer};
use purser_crypto::jose::{Jwk, KeySource};
use purser_db::DbError;
use purser_http::Fetcher;
use purser_identity::terms::{self, TermsDocument};
use purser_values::Env;
use purser_values::name::ProviderName;
use purser_wire::manifest::Manifest;
use url::Url;

use crate::core::Core;

/// Time between two looks at a provider that answers, and at one that does not.
const REFRESH: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_millis(500);

/// A provider as the operator configured it.
#[derive(Clone, Debug)]
pub struct Configured {
    pub name: ProviderName,
    pub url: Url,
    /// Who we are to it.
    pub identity: Identity,
}

/// A provider that has told who it is.
#[derive(Clone, Debug)]
pub struct Provider {
    pub client: ProviderClient,
    pub manifest: Manifest,
    /// What its answers in a person's browser must name as `iss`, where it promises that they do (RFC 9207).
    pub issuer: Option<String>,
}

impl Provider {
    /// The key that the provider signs its calls with.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<Jwk> {
        provider_keys(&self.manifest).find(|key| key.kid.as_deref() == Some(kid))
    }
}

/// The keys of a manifest that we can use; others are not ours to judge.
fn provider_keys(manifest: &Manifest) -> impl Iterator<Item = Jwk> {
    manifest.keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok())
}

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Call(#[from] purser_client::CallError),
    #[error("the provider calls itself `{0}`")]
    Name(ProviderName),
    #[error("the manifest holds a key that belongs to `{0}`")]
    ForeignKey(ProviderName),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// All providers, cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    keys: Arc<dyn KeySource>,
    env: Env,
    configured: Vec<Configured>,
    known: RwLock<HashMap<ProviderName, Arc<Provider>>>,
}

impl Gateway {
    /// `keys` is asked for every call: what signs today does not sign tomorrow.
    #[must_use]
    pub fn new(fetcher: Fetcher, keys: Arc<dyn KeySource>, env: Env, configured: Vec<Configured>) -> Self {
        Self(Arc::new(Inner { fetcher, keys, env, configured, known: RwLock::default() }))
    }

    #[must_use]
    pub fn fetcher(&self) -> &Fetcher {
        &self.0.fetcher
    }

    /// The provider, once it has answered since the start of this process.
    #[must_use]
    pub fn get(&self, name: &ProviderName) -> Option<Arc<Provider>> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether the operator has configured it at all.
    #[must_use]
    pub fn is_configured(&self, name: &ProviderName) -> bool {
        self.0.configured.iter().any(|c| c.name == *name)
    }

    /// Where our document for this provider is, if it knows us by one.
    #[must_use]
    pub fn client_document(&self, name: &ProviderName) -> Option<&Url> {
        let configured = self.0.configured.iter().find(|c| c.name == *name)?;
        match &configured.identity {
            Identity::Document(document) => Some(&document.url),
            Identity::Secret(_) => None,
        }
    }

    #[must_use]
    pub fn names(&self) -> Vec<ProviderName> {
        self.0.configured.iter().map(|c| c.name.clone()).collect()
    }

    /// Keeps every provider fresh for ever; spawn it.
    pub async fn keep_fresh(self, core: Core) {
        let tasks: Vec<_> = self.0.configured.iter().map(|c| tokio::spawn(self.clone().keep_one(core.clone(), c.clone()))).collect();
        for task in tasks {
            if let Err(e) = task.await {
                tracing::error!(error = %e, "a provider is no longer looked at");
            }
        }
    }

    async fn keep_one(self, core: Core, configured: Configured) {
        let mut failures = 0_u32;
        loop {
            match self.refresh(&core, &configured).await {
                Ok(()) => {
                    failures = 0;
                    tokio::time::sleep(REFRESH).await;
                }
                Err(e) => {
                    // One line for the first failure and every hundredth, not one each half second.
                    if failures.is_multiple_of(100) {
                        tracing::warn!(provider = %configured.name, error = %e, "the provider cannot be read");
                    }
                    failures += 1;
                    tokio::time::sleep(RETRY * failures.min(20)).await;
                }
            }
        }
    }

    /// Reads manifest, terms and services, keeps them, and makes the provider usable.
    ///
    /// # Errors
    /// When the provider does not answer, answers something else, or the store fails.
    pub async fn refresh(&self, core: &Core, configured: &Configured) -> Result<(), RefreshError> {
        let discovery = Discovery::new(self.0.fetcher.clone());
        let manifest = discovery.manifest(&configured.url).await?;
        if manifest.name != configured.name {
            return Err(RefreshError::Name(manifest.name));
        }
        let mut documents = Vec::with_capacity(manifest.terms.len());
        for document in &manifest.terms {
            let body = discovery.terms(document).await?.to_vec();
            documents.push(TermsDocument {
                url: document.url.to_string(),
                version: document.version.clone(),
                title: document.title.clone(),
                body,
            });
        }
        let signer = Signer { identity: configured.identity.clone(), keys: self.0.keys.clone(), env: self.0.env.clone() };
        let client = ProviderClient::new(self.0.fetcher.clone(), ProviderEndpoint::from(&manifest), signer);
        let services = client.services().await?;
        let (env, name, display) = (core.env.clone(), configured.name.clone(), manifest.display_name.clone());
        let keys: Vec<String> = provider_keys(&manifest).map(|key| key.thumbprint()).collect();
        let programmes = crate::credits::programmes(&configured.name, &manifest);
        core.db
            .write(move |tx| {
                // A key stays with the provider that showed it first: nobody can make another's charges look like its own.
                for key in &keys {
                    let owner = crate::store::provider_key::pin(tx, key, &name, env.now())?;
                    if owner != name {
                        return Err(RefreshError::ForeignKey(owner));
                    }
                }
                terms::terms_keep(tx, &env, &name, &documents)?;
                purser_spend::credit::programmes_keep(tx, &name, &programmes, env.now())?;
                Ok(crate::catalogue::keep(tx, &env, &name, &display, &services)?)
            })
            .await?;
        // After the catalogue, which people ask grants for: this is needed only when somebody links an account.
        let server = discovery.authorization_server(&manifest.base_url).await?;
        let issuer = server.filter(|s| s.authorization_response_iss_parameter_supported).map(|s| s.issuer);
        let provider = Arc::new(Provider { client, manifest, issuer });
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).insert(configured.name.clone(), provider);
        Ok(())
    }
}
