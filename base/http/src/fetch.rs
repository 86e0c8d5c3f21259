//! The guarded fetcher: the one way to an address that somebody else chose (a manifest, a provider, a key set, a webhook).
//!
//! INVARIANT (no-inside): unless its exact origin (host and port) is on the operator's allow-list, an address is only spoken to over
//! https and only when every IP address that its name stands for is public. The check is made in the resolver that the
//! connection itself uses, so a name cannot mean one thing when checked and another when connected.
//!
//! No redirect is followed, no proxy of the environment is used, no cookie is kept, and size and time are bounded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use purser_values::limits::{FETCH_BODY_BYTES, FETCH_TIMEOUT_MS};
use reqwest::redirect::Policy;
use serde::Deserialize;
use url::{Host, Url};

mod address;
mod network;
mod resolver;

pub use address::is_public;
use address::is_this_machine;
pub use network::Network;
use resolver::{ForbiddenAddress, LookUp, PublicOnly};

/// A host and a port that the operator trusts: `127.0.0.1:8080`, `[::1]:8080`, `provider.internal:443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    host: Host<String>,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin: write `host:port`, such as `127.0.0.1:8080`")]
pub struct ParseOriginError(String);

impl FromStr for Origin {
    type Err = ParseOriginError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseOriginError(text.chars().take(80).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        Ok(Self { host: Host::parse(host).map_err(|_| bad())?, port: port.parse().map_err(|_| bad())? })
    }
}

impl TryFrom<String> for Origin {
    type Error = ParseOriginError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Origin {
    /// The origin of a URL of a scheme that has ports.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self { host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }
}

impl Origin {
    /// Whether it names the machine itself, in any spelling: `127.1`, `2130706433`, `[::ffff:127.0.0.1]`, `localhost.`.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        match &self.host {
            Host::Ipv4(ip) => is_this_machine((*ip).into()),
            Host::Ipv6(ip) => is_this_machine((*ip).into()),
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

/// Bounds of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    pub timeout: Duration,
    pub body_bytes: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(FETCH_TIMEOUT_MS), body_bytes: FETCH_BODY_BYTES }
    }
}

/// What came back, whatever its status; a redirect is an answer like any other.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why nothing came back. Texts hold host names, never paths, queries or bodies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("`{host}` may not be fetched: {why}")]
    Forbidden { host: String, why: &'static str },
    #[error("`{host}` did not answer within {timeout_ms} ms")]
    Timeout { host: String, timeout_ms: u64 },
    #[error("`{host}` answered with more than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("`{host}` cannot be reached: {cause}")]
    Network { host: String, cause: String },
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// A client with connection pools; cheap to clone.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    allow: Vec<Origin>,
    public: reqwest::Client,
    trusted: reqwest::Client,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("allow", &self.0.allow).finish()
    }
}

impl Fetcher {
    /// A fetcher that besides public https addresses speaks to these origins. The list comes from the operator, never from a request.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(allow: Vec<Origin>) -> Result<Self, FetchError> {
        Self::asking(resolver::system(), allow)
    }

    /// One that checks the certificates of others with these, too: PEM, of an authority that the operator runs.
    ///
    /// # Errors
    /// When they are not PEM, or the TLS stack cannot be set up.
    pub fn with_authorities(allow: Vec<Origin>, pem: &[u8]) -> Result<Self, FetchError> {
        let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| FetchError::Setup(cause(&e)))?;
        let own = || client().tls_certs_merge(authorities.clone());
        let public = own().https_only(true).dns_resolver(Arc::new(PublicOnly(resolver::system())));
        Self::of(public, own(), allow)
    }

    /// With a look-up of its own for the names of strangers.
    fn asking(names: LookUp, allow: Vec<Origin>) -> Result<Self, FetchError> {
        Self::of(client().https_only(true).dns_resolver(Arc::new(PublicOnly(names))), client(), allow)
    }

    /// With clients of its own for strangers and for origins that the operator trusts.
    fn of(public: reqwest::ClientBuilder, trusted: reqwest::ClientBuilder, allow: Vec<Origin>) -> Result<Self, FetchError> {
        let build = |builder: reqwest::ClientBuilder| builder.build().map_err(|e| FetchError::Setup(cause(&e)));
        Ok(Self(Arc::new(Inner { allow, public: build(public)?, trusted: build(trusted)? })))
    }

    /// Whether the operator listed the exact origin of this URL.
    #[must_use]
    pub fn trusts(&self, url: &Url) -> bool {
        Origin::of(url).is_some_and(|origin| self.0.allow.contains(&origin))
    }

    /// # Errors
    /// See [`FetchError`].
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Fetched, FetchError> {
        self.send(Method::GET, url, headers, Bytes::new(), FetchLimits::default()).await
    }

    /// # Errors
    /// See [`FetchError`].
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Fetched, FetchError> {
        self.send(Method::POST, url, headers, body, FetchLimits::default()).await
    }

    /// One exchange with any method and bounds of its own.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        limits: FetchLimits,
    ) -> Result<Fetched, FetchError> {
        let host = host_of(url);
        let client = self.client_for(url).map_err(|why| FetchError::Forbidden { host: host.clone(), why })?;
        let request = client.request(method, url.clone()).headers(headers).timeout(limits.timeout).body(body);
        let mut response = request.send().await.map_err(|e| failure(&host, &e, limits))?;
        let too_large = || FetchError::TooLarge { host: host.clone(), limit: limits.body_bytes };
        if response.content_length().is_some_and(|length| length > limits.body_bytes as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| failure(&host, &e, limits))? {
            if body.len() + chunk.len() > limits.body_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { status: response.status(), headers: std::mem::take(response.headers_mut()), body: body.freeze() })
    }

    /// Why a URL can never be fetched, as far as its text tells: for configurations and registrations.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn check(&self, url: &Url) -> Result<(), &'static str> {
        self.client_for(url).map(drop)
    }

    /// Which client may speak to a URL, or why none may.
    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, &'static str> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("only http and https are fetched");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name in it is not fetched");
        }
        if self.trusts(url) {
            return Ok(&self.0.trusted);
        }
        if url.scheme() != "https" {
            return Err("only https is fetched outside the operator's allow-list");
        }
        // an address in the URL never meets the resolver
        let public = match url.host() {
            Some(Host::Ipv4(ip)) => is_public(ip.into()),
            Some(Host::Ipv6(ip)) => is_public(ip.into()),
            Some(Host::Domain(name)) => !is_localhost(name),
            None => false,
        };
        if public { Ok(&self.0.public) } else { Err("its address is not public") }
    }
}

/// RFC 6761, 6.3: these names never leave the machine, whatever the system's resolver thinks of them.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(8)
        .tcp_nodelay(true)
        .user_agent(concat!("purser/", env!("CARGO_PKG_VERSION")))
}

fn host_of(url: &Url) -> String {
    Origin::of(url).map_or_else(|| url.scheme().to_owned(), |origin| origin.to_string())
}

fn failure(host: &str, error: &reqwest::Error, limits: FetchLimits) -> FetchError {
    let host = host.to_owned();
    if sources(error).any(|e| e.is::<ForbiddenAddress>()) {
        return FetchError::Forbidden { host, why: "its address is not public" };
    }
    if error.is_timeout() {
        let timeout_ms = u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX);
        return FetchError::Timeout { host, timeout_ms };
    }
    FetchError::Network { host, cause: cause(error) }
}

/// The innermost reason; the outer layers repeat the URL, which may hold a code.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = sources(error).last().map(ToString::to_string).unwrap_or_default();
    innermost.chars().take(200).collect()
}

fn sources<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |e| e.source())
}

#[cfg(test)]
mod names;
#[cfg(test)]
mod tests;
