//! One request to Stripe: key, version, account, idempotency key, form.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use purser_http::{FetchError, FetchLimits, Fetcher, Origin};
use purser_values::Secret;
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::StripeError;
use crate::form::Form;

/// The version of the API that this client was written against, stated with every call.
pub const VERSION: &str = "2026-04-22.dahlia";
/// The version in which shared payment tokens are.
pub const TOKENS_VERSION: &str = "2026-04-22.preview";

const API_BASE: &str = "https://api.stripe.com/";
/// Longest that one call waits; confirming a payment asks a bank.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Longest answer, in bytes.
const ANSWER_BYTES: usize = 1024 * 1024;

/// How the account at Stripe is reached. The secrets come from files of the operator's.
#[derive(Debug, Clone)]
pub struct Settings {
    pub secret_key: Secret<String>,
    /// The endpoint's signing secrets: the newest, and those that are being replaced.
    pub webhook_secrets: Vec<Secret<String>>,
    /// Somewhere else than Stripe: for tests.
    pub api_base: Option<Url>,
    /// A connected account for which we act.
    pub account: Option<String>,
    pub tokens: Tokens,
}

/// Whether shared payment tokens are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// Where the account has them.
    #[default]
    Auto,
    Off,
}

#[derive(Clone)]
pub struct Client {
    fetcher: Fetcher,
    base: Url,
    key: Secret<String>,
    account: Option<String>,
}

impl Client {
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let base = match &settings.api_base {
            Some(base) => base.clone(),
            None => API_BASE.parse().map_err(|e: url::ParseError| e.to_string())?,
        };
        // Only an address that the operator names may be plain or private.
        let allow = settings.api_base.as_ref().and_then(Origin::of).into_iter().collect();
        let fetcher = Fetcher::new(allow).map_err(|e| e.to_string())?;
        fetcher.check(&base).map_err(str::to_owned)?;
        Ok(Self { fetcher, base, key: settings.secret_key.clone(), account: settings.account.clone() })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &Form) -> Result<T, StripeError> {
        self.get_as(VERSION, path, query).await
    }

    pub async fn get_as<T: DeserializeOwned>(&self, version: &'static str, path: &str, query: &Form) -> Result<T, StripeError> {
        let mut url = self.at(path)?;
        let query = query.encode();
        if !query.is_empty() {
            url.set_query(Some(&String::from_utf8_lossy(&query)));
        }
        self.send(Method::GET, url, self.headers(version, None)?, Bytes::new()).await
    }

    /// `key` makes a repetition of the same form one request.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, form: &Form, key: &str) -> Result<T, StripeError> {
        self.post_as(VERSION, path, form, key).await
    }

    pub async fn post_as<T: DeserializeOwned>(&self, version: &'static str, path: &str, form: &Form, key: &str) -> Result<T, StripeError> {
        let mut headers = self.headers(version, Some(key))?;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.send(Method::POST, self.at(path)?, headers, form.encode()).await
    }

    /// An address of the account's API, for people.
    pub fn page(&self, path: &str) -> Result<String, StripeError> {
        self.at(path).map(String::from)
    }

    fn at(&self, path: &str) -> Result<Url, StripeError> {
        self.base.join(path).map_err(|e| StripeError::Unknown(e.to_string()))
    }

    fn headers(&self, version: &'static str, key: Option<&str>) -> Result<HeaderMap, StripeError> {
        let unusable = |e: http::header::InvalidHeaderValue| StripeError::Unknown(e.to_string());
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.key.expose())).map_err(unusable)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, bearer),
            (HeaderName::from_static("stripe-version"), HeaderValue::from_static(version)),
        ]);
        if let Some(account) = &self.account {
            headers.insert(HeaderName::from_static("stripe-account"), HeaderValue::from_str(account).map_err(unusable)?);
        }
        if let Some(key) = key {
            headers.insert(HeaderName::from_static("idempotency-key"), HeaderValue::from_str(key).map_err(unusable)?);
        }
        Ok(headers)
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, url: Url, headers: HeaderMap, body: Bytes) -> Result<T, StripeError> {
        let limits = FetchLimits { timeout: TIMEOUT, body_bytes: ANSWER_BYTES };
        let answer = self.fetcher.send(method, &url, headers, body, limits).await;
        let answer = answer.map_err(|e: FetchError| StripeError::Unknown(e.to_string()))?;
        if !answer.status.is_success() {
            return Err(StripeError::read(answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body).map_err(|e| StripeError::Unknown(format!("the answer is not what is expected: {e}")))
    }
}
