//! The client of the orchestrator: signs each request, repeats what may be repeated, and turns refusals into failures.
//!
//! Every request carries a DPoP proof (RFC 9449), so that a stolen access token is of no use. What is sent again carries the
//! same `Idempotency-Key`, so that a change made while the answer was lost is not made twice.

pub mod device;
mod exchange;
mod multipart;
pub mod problem;
mod proof;
mod refresh;
pub mod spawn;
mod workload;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use purser_crypto::jose::SigningKey;
use purser_values::Secret;
use purser_values::error::Kind;
use reqwest::Method;
use reqwest::header::{HeaderName, RETRY_AFTER};
use serde_json::Value;
use url::Url;

use crate::context::{self, Context};
use crate::home::{Home, Session};
use crate::outcome::Failure;
use exchange::Answer;

pub use multipart::Form;

/// How long a change is sent again while the orchestrator is away: a restart fits in.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a question is asked again.
const PATIENCE_TO_READ: Duration = Duration::from_secs(5);
/// Time for one ordinary exchange; the longest wait of the server is 25 s.
pub const EXCHANGE: Duration = Duration::from_secs(40);
/// Longest pause that the server may ask for.
const LONGEST_PAUSE_S: u64 = 5;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whose key signs.
pub enum Signer {
    Agent {
        home: Home,
        key: SigningKey,
        session: RefCell<Session>,
    },
    Person {
        token: Secret<String>,
        key: SigningKey,
    },
    /// Nobody yet: a login, or the public catalogue.
    Newcomer {
        key: SigningKey,
    },
}

pub struct Api<'c> {
    context: &'c Context,
    http: reqwest::Client,
    base: Url,
    signer: Signer,
    nonce: RefCell<Option<String>>,
}

/// One request.
pub struct Call {
    method: Method,
    url: Url,
    body: Option<(String, Vec<u8>)>,
    key: Option<String>,
    timeout: Duration,
}

impl Signer {
    const fn key(&self) -> &SigningKey {
        match self {
            Self::Agent { key, .. } | Self::Person { key, .. } | Self::Newcomer { key } => key,
        }
    }
}

impl<'c> Api<'c> {
    /// # Errors
    /// When no client can be made, for example without any trusted certificates.
    pub fn new(context: &'c Context, base: Url, signer: Signer) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("purser/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5));
        if context::is_local(&base) {
            // no proxy sees it, no certificate is read for it, and `localhost` is where the orchestrator listens
            let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            builder = builder.no_proxy().resolve("localhost", here);
            // behind a TLS proxy of one's own machine certificates count as everywhere
            if base.scheme() == "http" {
                builder = builder.tls_certs_only([]);
            }
        } else {
            builder = builder.https_only(true);
        }
        let http =
            builder.build().map_err(|e| Failure::new(Kind::Internal, "CLIENT_UNUSABLE", format!("no HTTP client can be made: {e}")))?;
        Ok(Self { context, http, base, signer, nonce: RefCell::new(None) })
    }

    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The page of a person, for messages.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", context::address(&self.base))
    }

    /// The URL of a route. Segments are encoded, so that a name cannot leave its place in the path.
    #[must_use]
    pub fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// # Errors
    /// The orchestrator's refusal, or why it did not answer.
    pub async fn get(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        let url = self.url(segments, query);
        self.send(&Call { method: Method::GET, url, body: None, key: None, timeout: EXCHANGE }).await
    }

    /// A change. It has one effect, however often it is sent.
    ///
    /// # Errors
    /// The orchestrator's refusal, or why it did not answer.
    pub async fn post(&self, segments: &[&str], query: &[(&str, &str)], body: &Value) -> Result<Value, Failure> {
        let body = Some(("application/json".to_owned(), body.to_string().into_bytes()));
        let key = Some(self.context.idempotency_key());
        self.send(&Call { method: Method::POST, url: self.url(segments, query), body, key, timeout: EXCHANGE }).await
    }

    /// A change that says the whole of what is to be; sent again, it changes nothing more.
    ///
    /// # Errors
    /// The orchestrator's refusal, or why it did not answer.
    pub async fn put(&self, segments: &[&str], body: &Value) -> Result<Value, Failure> {
        let body = Some(("application/json".to_owned(), body.to_string().into_bytes()));
        let key = Some(self.context.idempotency_key());
        self.send(&Call { method: Method::PUT, url: self.url(segments, &[]), body, key, timeout: EXCHANGE }).await
    }

    /// An answer that is no JSON, as text.
    ///
    /// # Errors
    /// The orchestrator's refusal, or why it did not answer.
    pub async fn text(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<String, Failure> {
        let call = Call { method: Method::GET, url: self.url(segments, query), body: None, key: None, timeout: EXCHANGE };
        let answer = self.answer(&call).await?;
        String::from_utf8(answer.body).map_err(|_| self.garbage())
    }

    /// A change with files.
    ///
    /// # Errors
    /// The orchestrator's refusal, or why it did not answer.
    pub async fn upload(&self, segments: &[&str], query: &[(&str, &str)], form: Form) -> Result<Value, Failure> {
        let key = Some(self.context.idempotency_key());
        let timeout = Duration::from_secs(180);
        self.send(&Call { method: Method::POST, url: self.url(segments, query), body: Some(form.finish()), key, timeout }).await
    }

    async fn send(&self, call: &Call) -> Result<Value, Failure> {
        self.value(&self.answer(call).await?)
    }

    /// What the orchestrator answers when it does what it is asked.
    async fn answer(&self, call: &Call) -> Result<Answer, Failure> {
        let start = Instant::now();
        let patience = match (&call.method, &call.key) {
            (_, Some(_)) => PATIENCE,
            (&Method::GET, None) => PATIENCE_TO_READ,
            _ => Duration::ZERO,
        };
        let mut refreshed = false;
        let mut pause = Duration::from_millis(50);
        loop {
            let token = self.access_token().await?;
            let outcome = self.exchange(call, token.as_ref()).await;
            let may_repeat = start.elapsed() + pause < patience;
            match outcome {
                Err(_) if may_repeat => {}
                Err(error) => return Err(self.unreachable(&error)),
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if answer.wants_nonce() && self.nonce.borrow().as_ref() != answer.nonce.as_ref() => {
                    self.nonce.replace(answer.nonce);
                    continue;
                }
                Ok(answer) if answer.status.as_u16() == 401 && !refreshed && token.is_some() => {
                    refreshed = true;
                    if !self.refresh(token.as_ref()).await? {
                        return Err(problem::failure(&answer));
                    }
                    continue;
                }
                Ok(answer) if may_repeat && matches!(answer.status.as_u16(), 429 | 502..=504) && answer.may_pass() => {
                    let asked = answer.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
                    match asked {
                        Some(seconds) if seconds > LONGEST_PAUSE_S => return Err(problem::failure(&answer)),
                        Some(seconds) => pause = pause.max(Duration::from_secs(seconds)),
                        None => {}
                    }
                }
                Ok(answer) => return Err(problem::failure(&answer)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    fn value(&self, answer: &Answer) -> Result<Value, Failure> {
        if let Some(profile) = answer.headers.get("purser-profile").and_then(|v| v.to_str().ok()) {
            self.context.profile.replace(Some(profile.to_owned()));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|_| self.garbage())
    }

    fn garbage(&self) -> Failure {
        let message = format!("{} did not answer in JSON", context::address(&self.base));
        Failure::new(Kind::Unavailable, "UNEXPECTED_ANSWER", message).hint("check that the URL is an orchestrator's")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let (address, why) = (context::address(&self.base), innermost(error));
        let what = if error.is_timeout() { "did not answer in time".to_owned() } else { format!("cannot be reached: {why}") };
        let failure = Failure::new(Kind::Unavailable, "ORCHESTRATOR_UNREACHABLE", format!("{address} {what}"));
        if is_about_certificates(&why) {
            return failure.hint(
                "the connection is there, its certificate is not trusted here: `SSL_CERT_FILE` names a file with your own authority",
            );
        }
        if context::is_local(&self.base) && self.base.scheme() == "http" {
            return failure.hint("start it with `purser up`, then repeat the command");
        }
        failure.hint("check the address and the network, then repeat the command")
    }
}

/// The cause at the bottom: which name, refusal or certificate it was.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn is_about_certificates(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    ["certificate", "unknownissuer"].iter().any(|word| why.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_apart_from_a_network_that_is_not_there() {
        assert!(is_about_certificates("invalid peer certificate: UnknownIssuer"));
        for why in ["Connection refused (os error 111)", "failed to lookup address information: Name or service not known"] {
            assert!(!is_about_certificates(why), "{why}");
        }
    }
}
