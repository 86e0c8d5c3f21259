//! The gate that every call passes before a provider sees it: size, signature, replay, version, bearer token.

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header as names};
use purser_values::{Sha256Digest, Timestamp};
use purser_wire::error::{Envelope, code};
use purser_wire::id::IdempotencyKey;
use purser_wire::signature::{hmac, v2};
use purser_wire::{VERSION, header};
use url::Url;

use crate::call::{AccountCall, Call};
use crate::error::ProviderError;
use crate::keys::KeyError;
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, Refusal};
use crate::routes::Sdk;
use crate::store::Store;

/// A request that has been read.
pub struct Received {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Timestamp,
}

/// Reads a request within the limit for JSON bodies.
pub async fn receive(request: Request, at: Timestamp) -> Result<Received, Refusal> {
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let read = purser_http::extract::read_body(request, purser_values::limits::JSON_BODY_BYTES).await;
    let body = read.map_err(|problem| Refusal(ProviderError::new(problem.status, &problem.code, problem.detail), Envelope::Flat))?;
    Ok(Received { method, uri, headers, body, at })
}

impl<P: Provider, S: Store> Sdk<P, S> {
    /// Signature and version: what every call below `provisioning/` must have.
    pub async fn signed(&self, received: &Received) -> Result<Call, Refusal> {
        let url = self.url_of(&received.uri);
        self.check_signature(received, &url).await.envelope(Envelope::Flat)?;
        if text(&received.headers, header::API_VERSION) != Some(VERSION) {
            let message = format!("`API-Version` must be one of: {VERSION}");
            let error = ProviderError::new(StatusCode::BAD_REQUEST, code::INVALID_API_VERSION, message);
            return Err(Refusal(error, Envelope::Flat));
        }
        let idempotency_key = match received.headers.get(header::IDEMPOTENCY_KEY) {
            None => None,
            Some(value) => Some(value.to_str().ok().and_then(|v| v.parse::<IdempotencyKey>().ok()).ok_or_else(|| {
                Refusal(ProviderError::invalid_request("`Idempotency-Key` must be 1 to 255 visible characters"), Envelope::Flat)
            })?),
        };
        Ok(Call { env: self.config.env.clone(), at: received.at, idempotency_key })
    }

    /// The same, with a living bearer token.
    pub async fn with_account(&self, received: &Received) -> Result<AccountCall, Refusal> {
        let call = self.signed(received).await?;
        let token = text(&received.headers, names::AUTHORIZATION.as_str()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        let access = match token {
            Some(token) => self.codes.access(token).await.envelope(Envelope::Status)?,
            None => None,
        };
        let access = access.ok_or_else(|| {
            let message = "send `Authorization: Bearer` with a living access token";
            Refusal(ProviderError::new(StatusCode::UNAUTHORIZED, code::UNAUTHORIZED, message), Envelope::Status)
        })?;
        Ok(AccountCall { call, account: access.account, link: access.link, scopes: access.scopes })
    }

    /// Checks the HMAC and, when it is there or demanded, the V2 signature, whose `jti` is used up.
    pub async fn check_signature(&self, received: &Received, url: &Url) -> Result<(), ProviderError> {
        let refused = |why: &dyn std::error::Error| {
            tracing::info!(%why, method = %received.method, path = received.uri.path(), "a signature was refused");
            ProviderError::new(StatusCode::UNAUTHORIZED, code::INVALID_SIGNATURE, "the request is not signed as it must be")
        };
        let header = text(&received.headers, header::SIGNATURE).unwrap_or_default();
        hmac::verify(&self.config.secrets, header, &received.body, received.at).map_err(|e| refused(&e))?;

        let Some(token) = text(&received.headers, header::SIGNATURE_V2) else {
            let missing = purser_wire::signature::SignatureError::Missing;
            return if self.config.require_v2 { Err(refused(&missing)) } else { Ok(()) };
        };
        // without keys the older scheme alone counts, as it does at every provider that has not heard of V2
        let Some(keys) = &self.config.orchestrator else {
            return if self.config.require_v2 { Err(refused(&KeyError::Unknown)) } else { Ok(()) };
        };
        let kid = v2::claimed_key(token).ok_or_else(|| refused(&KeyError::Unknown))?;
        let key = match keys.find(&kid, received.at).await {
            Ok(key) => key,
            Err(e @ KeyError::Unknown) => return Err(refused(&e)),
            Err(e @ KeyError::Unavailable(_)) => {
                tracing::warn!(cause = %e, "the orchestrator's keys are out of reach");
                return Err(ProviderError::unavailable("the orchestrator's keys cannot be fetched now", 1));
            }
        };
        let request = v2::Request { method: received.method.as_str(), url: url.as_str(), body: &received.body };
        let verified = v2::verify(&key, token, request, received.at).map_err(|e| refused(&e))?;
        let nonce = Sha256Digest::of_parts(&[b"v2\0", kid.as_bytes(), b"\0", verified.jti.as_bytes()]);
        if self.store.nonce_use(nonce, verified.expires_at, received.at).await? {
            Ok(())
        } else {
            tracing::warn!(path = received.uri.path(), "a signed request was replayed");
            Err(ProviderError::new(StatusCode::UNAUTHORIZED, code::INVALID_SIGNATURE, "this request was already received"))
        }
    }

    /// The address of a request as the orchestrator wrote it: from the manifest, not from a `Host` header.
    fn url_of(&self, uri: &Uri) -> Url {
        let mut url = self.base_url.clone();
        let path = format!("{}{}", url.path().trim_end_matches('/'), uri.path());
        url.set_path(&path);
        url.set_query(uri.query());
        url
    }
}

/// The one value of a header as text; a doubled header counts as none.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
