//! One provider as the orchestrator speaks to it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use purser_crypto::jose::KeySource;
use purser_http::{FetchLimits, Fetched, Fetcher};
use purser_values::{Env, Secret};
use purser_wire::error::ErrorBody;
use purser_wire::id::IdempotencyKey;
use purser_wire::manifest::Manifest;
use purser_wire::signature::{hmac, v2};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::answer;
use crate::error::CallError;
use crate::identity::{Identity, Proof};

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEndpoint {
    /// Ends in `/`.
    pub base_url: Url,
    pub token_url: Url,
}

impl From<&Manifest> for ProviderEndpoint {
    fn from(manifest: &Manifest) -> Self {
        Self { base_url: manifest.base_url.clone(), token_url: manifest.token_url.clone() }
    }
}

/// What the orchestrator signs with towards one provider.
#[derive(Clone, Debug)]
pub struct Signer {
    pub identity: Identity,
    /// The key that signs at the moment of a call; its public half is at `v2/provisioning/public_keys`.
    pub keys: Arc<dyn KeySource>,
    pub env: Env,
}

/// Calls to one provider; cheap to clone.
#[derive(Clone, Debug)]
pub struct ProviderClient {
    fetcher: Fetcher,
    endpoint: ProviderEndpoint,
    signer: Signer,
}

/// What travels with a call besides its body.
#[derive(Clone, Copy, Default)]
pub(crate) struct With<'a> {
    pub access_token: Option<&'a Secret<String>>,
    pub key: Option<&'a IdempotencyKey>,
}

impl ProviderClient {
    #[must_use]
    pub const fn new(fetcher: Fetcher, endpoint: ProviderEndpoint, signer: Signer) -> Self {
        Self { fetcher, endpoint, signer }
    }

    #[must_use]
    pub const fn endpoint(&self) -> &ProviderEndpoint {
        &self.endpoint
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url, with: With<'_>) -> Result<T, CallError> {
        answer::read(&self.send(Method::GET, url, with, None).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, url: &Url, with: With<'_>, body: &impl Serialize) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|e| unsendable(&e))?;
        answer::read(&self.send(Method::POST, url, with, Some(("application/json", body.into()))).await?)
    }

    pub(crate) async fn post_form<T: DeserializeOwned>(&self, url: &Url, form: &Secret<String>) -> Result<T, CallError> {
        let body = Bytes::from(form.expose().clone());
        answer::read(&self.send(Method::POST, url, With::default(), Some(("application/x-www-form-urlencoded", body))).await?)
    }

    async fn send(&self, method: Method, url: &Url, with: With<'_>, body: Option<(&'static str, Bytes)>) -> Result<Fetched, CallError> {
        let (content_type, body) = body.map_or((None, Bytes::new()), |(kind, body)| (Some(kind), body));
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str, secret: bool| -> Result<(), CallError> {
            let mut value = HeaderValue::from_str(value).map_err(|e| unsendable(&e))?;
            value.set_sensitive(secret);
            headers.insert(name, value);
            Ok(())
        };
        let request = v2::Request { method: method.as_str(), url: url.as_str(), body: &body };
        let signature = v2::sign(&self.signer.keys.signing(), request, &self.signer.env).map_err(|e| unsendable(&e))?;
        put(HeaderName::from_static(purser_wire::header::SIGNATURE_V2), &signature, true)?;
        if let Identity::Secret(secret) = &self.signer.identity {
            let signature = hmac::sign(secret, &body, self.signer.env.now());
            put(HeaderName::from_static(purser_wire::header::SIGNATURE), &signature, true)?;
        }
        put(HeaderName::from_static(purser_wire::header::API_VERSION), purser_wire::VERSION, false)?;
        if let Some(kind) = content_type {
            put(header::CONTENT_TYPE, kind, false)?;
        }
        if let Some(token) = with.access_token {
            let value = Secret::new(format!("Bearer {}", token.expose()));
            put(header::AUTHORIZATION, value.expose(), true)?;
        }
        if let Some(key) = with.key {
            put(HeaderName::from_static(purser_wire::header::IDEMPOTENCY_KEY), key.as_str(), false)?;
        }
        Ok(self.fetcher.send(method, url, headers, body, FetchLimits::default()).await?)
    }

    /// What proves a request for tokens, where no signature over the body does.
    pub(crate) fn proof(&self) -> Result<Option<Proof>, CallError> {
        match &self.signer.identity {
            Identity::Secret(_) => Ok(None),
            Identity::Document(document) => document.prove(&self.endpoint.token_url, &self.signer.env).map(Some),
        }
    }

    pub(crate) fn now(&self) -> purser_values::Timestamp {
        self.signer.env.now()
    }

    /// An address below `provisioning/`.
    pub(crate) fn at(&self, path: &[&str]) -> Result<Url, CallError> {
        let mut url = self.endpoint.base_url.clone();
        // each part is one segment, whatever a provider put into its ids
        url.path_segments_mut()
            .map_err(|()| unsendable(&"the base address cannot carry a path"))?
            .pop_if_empty()
            .push("provisioning")
            .extend(path);
        Ok(url)
    }
}

pub(crate) fn unsendable(cause: &dyn std::fmt::Display) -> CallError {
    CallError::Permanent { status: None, error: ErrorBody::new("request_not_sendable", cause.to_string()) }
}
