//! An orchestrator for one run: publishes a key, takes charges, refunds and events from the provider under test, and remembers them.
//!
//! It moves no money and keeps nothing. The provider must be configured with its address; the tester then has payment tokens
//! (checks 66 and 67) and a key for `Stripe-Signature-V2` and identity assertions.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use purser_crypto::jose::{Algorithm, Jwk, SigningKey};
use purser_values::limits::JSON_BODY_BYTES;
use purser_values::{Currency, Env, Money, Secret};
use purser_wire::charge::{self, ChargeRequest};
use purser_wire::event::{self, ProviderEvent};
use purser_wire::header::IDEMPOTENCY_KEY;
use purser_wire::keys::{self, PublicKey, PublicKeys};
use purser_wire::refund::RefundRequest;
use purser_wire::signature::{SignatureError, message};
use purser_wire::usage::{self, UsageHoldRequest, UsageReleaseRequest};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::options::{Attestor, Payment};

/// The limit of a token that pays, in minor units of USD.
const MAX_MINOR: i64 = 100_000;
const KEY_LIFE_S: i64 = 24 * 3600;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct StubOrchestrator {
    url: Url,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    env: Env,
    url: Url,
    key: SigningKey,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trusted: Vec<Jwk>,
    nonces: HashSet<String>,
    /// Token to whether it pays.
    tokens: HashMap<String, bool>,
    captured: HashMap<String, Vec<Money>>,
    /// Charge to what it took and was not given back.
    charges: HashMap<String, Money>,
    /// Token to the blocks of use that are set aside.
    held: HashMap<String, HashMap<String, Money>>,
    /// What was given back, in the order in which it came.
    refunds: Vec<Money>,
    /// Refunds get no answer for now.
    is_deaf: bool,
    /// Idempotency key to the body it came with and its answer.
    answers: HashMap<String, (Bytes, Value)>,
    events: Vec<ProviderEvent>,
}

impl StubOrchestrator {
    /// Starts listening. `port` 0 chooses one.
    ///
    /// # Errors
    /// When the address cannot be listened on or no key can be made.
    pub async fn start(env: Env, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?)).map_err(io::Error::other)?;
        let key = SigningKey::generate(Algorithm::EdDsa).map_err(io::Error::other)?;
        let shared = Arc::new(Shared { env, url: url.clone(), key, state: Mutex::default() });
        let listener = tokio::spawn(listen(listener, shared.clone()));
        Ok(Self { url, shared, listener })
    }

    /// The base URL that the provider must know as its orchestrator.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    #[must_use]
    pub fn attestor(&self) -> Attestor {
        Attestor { key: self.shared.key.clone(), issuer: self.url.clone() }
    }

    /// The events that came in.
    #[must_use]
    pub fn events(&self) -> Vec<ProviderEvent> {
        self.shared.state().events.clone()
    }

    /// What the provider gave back.
    #[must_use]
    pub fn refunded(&self) -> Vec<Money> {
        self.shared.state().refunds.clone()
    }

    /// Whether refunds get no answer from now on.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.shared.state().is_deaf = is_deaf;
    }

    fn token(&self, pays: bool) -> Secret<String> {
        let token = format!("spt_{}", hex::encode(self.shared.env.bytes::<16>()));
        self.shared.state().tokens.insert(token.clone(), pays);
        token.into()
    }
}

impl Drop for StubOrchestrator {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Payment for StubOrchestrator {
    fn good_token(&self) -> Secret<String> {
        self.token(true)
    }

    fn declined_token(&self) -> Secret<String> {
        self.token(false)
    }

    fn max_amount(&self) -> Money {
        Money::from_minor(MAX_MINOR, Currency::USD)
    }

    fn trust(&self, keys: Vec<Jwk>) {
        self.shared.state().trusted = keys;
    }

    fn captured(&self, token: &Secret<String>) -> Vec<Money> {
        self.shared.state().captured.get(token.expose()).cloned().unwrap_or_default()
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // connections end with the listener
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, std::convert::Infallible>(shared.answer(request).await) }
            });
            // a connection that breaks is the provider's to open again
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().trim_start_matches('/').to_owned();
        if parts.method == Method::GET && path == keys::PATH {
            let expires_at = self.env.now().plus_secs(KEY_LIFE_S);
            let public_keys = PublicKey::new(self.key.public(), expires_at).into_iter().collect();
            return reply(StatusCode::OK, &json!(PublicKeys { public_keys }));
        }
        let refunded = refunded_charge(&path).map(str::to_owned);
        if parts.method != Method::POST
            || (![charge::PATH, event::PATH, usage::PATH, usage::RELEASE_PATH].contains(&path.as_str()) && refunded.is_none())
        {
            return refuse(StatusCode::NOT_FOUND, "not_found");
        }
        let Ok(body) = Limited::new(body, JSON_BODY_BYTES).collect().await.map(http_body_util::Collected::to_bytes) else {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
        };
        let key = match self.verified(&parts.headers, &path, &body) {
            Ok(key) => key,
            Err(_) => return refuse(StatusCode::UNAUTHORIZED, "invalid_signature"),
        };
        let state = &mut *self.state();
        if let Some((earlier, answer)) = state.answers.get(&key) {
            let same = *earlier == body;
            return if same { reply(StatusCode::OK, answer) } else { refuse(StatusCode::CONFLICT, "idempotency_conflict") };
        }
        let answer = match &refunded {
            Some(_) if state.is_deaf => return refuse(StatusCode::SERVICE_UNAVAILABLE, "deaf"),
            Some(charge) => state.refund(charge, &body),
            None if path == charge::PATH => state.charge(&body),
            None if path == usage::PATH => state.usage_hold(&body),
            None if path == usage::RELEASE_PATH => state.usage_release(&body),
            None => state.event(&body),
        };
        match answer {
            Some(answer) => {
                state.answers.insert(key, (body, answer.clone()));
                reply(StatusCode::OK, &answer)
            }
            None => refuse(StatusCode::BAD_REQUEST, "invalid_request"),
        }
    }

    /// The idempotency key of a message that one of the trusted keys signed, once.
    fn verified(&self, headers: &http::HeaderMap, path: &str, body: &[u8]) -> Result<String, SignatureError> {
        let claimed = message::claimed_key(headers)?;
        let state = &mut *self.state();
        let key = state.trusted.iter().find(|key| key.thumbprint() == claimed).ok_or(SignatureError::UnknownKey)?;
        let target = self.url.join(path).map_err(|_| SignatureError::OtherMessage)?;
        let idempotency_key = headers.get(IDEMPOTENCY_KEY).and_then(|v| v.to_str().ok()).ok_or(SignatureError::Missing)?;
        let message = message::Message { method: "POST", target_uri: target.as_str(), idempotency_key, body };
        let verified = message::verify(key, headers, message, self.env.now())?;
        if state.nonces.insert(verified.nonce) { Ok(idempotency_key.to_owned()) } else { Err(SignatureError::Stale) }
    }
}

impl State {
    fn charge(&mut self, body: &[u8]) -> Option<Value> {
        let request: ChargeRequest = serde_json::from_slice(body).ok()?;
        let id = format!("chg_{}", self.answers.len());
        let token = request.payment_token.expose();
        let (status, code) = match self.tokens.get(token) {
            None => ("refused", Some("unknown_token")),
            Some(false) => ("declined", Some("card_declined")),
            Some(true) if request.amount.currency() != Currency::USD || !request.amount.is_positive() => ("refused", Some("wrong_amount")),
            Some(true) => {
                let captured = self.captured.entry(token.clone()).or_default();
                let sum: i64 = captured.iter().map(|m| m.minor()).sum();
                if sum.saturating_add(request.amount.minor()) > MAX_MINOR {
                    ("refused", Some("over_limit"))
                } else {
                    captured.push(request.amount);
                    self.charges.insert(id.clone(), request.amount);
                    ("succeeded", None)
                }
            }
        };
        Some(json!({"id": id, "status": status, "code": code}))
    }

    fn refund(&mut self, charge: &str, body: &[u8]) -> Option<Value> {
        let request: RefundRequest = serde_json::from_slice(body).ok()?;
        let left = self.charges.get_mut(charge)?;
        let rest = left.checked_sub(request.amount).ok()?;
        if !request.amount.is_positive() || rest.minor() < 0 {
            return None;
        }
        *left = rest;
        self.refunds.push(request.amount);
        Some(json!({"id": format!("rfd_{}", self.answers.len()), "status": "succeeded"}))
    }

    fn usage_hold(&mut self, body: &[u8]) -> Option<Value> {
        let request: UsageHoldRequest = serde_json::from_slice(body).ok()?;
        let token = request.payment_token.expose();
        let pays = self.tokens.get(token) == Some(&true);
        let held = self.held.entry(token.clone()).or_default();
        let sum: i64 = held.values().map(|m| m.minor()).sum();
        let fits = request.amount.is_positive() && sum.saturating_add(request.amount.minor()) <= MAX_MINOR;
        if !pays || !fits || request.block == 0 {
            return Some(json!({"status": "refused", "code": "over_limit"}));
        }
        held.insert(usage::block_period(&request.period, request.block), request.amount);
        Some(json!({"status": "reserved"}))
    }

    fn usage_release(&mut self, body: &[u8]) -> Option<Value> {
        let request: UsageReleaseRequest = serde_json::from_slice(body).ok()?;
        if let Some(held) = self.held.get_mut(request.payment_token.expose()) {
            held.remove(&usage::block_period(&request.period, request.block));
        }
        Some(json!({"status": "released"}))
    }

    fn event(&mut self, body: &[u8]) -> Option<Value> {
        let event: ProviderEvent = serde_json::from_slice(body).ok()?;
        let receipt = json!({"id": event.id, "accepted": true});
        self.events.push(event);
        Some(receipt)
    }
}

/// The charge whose refunds a path is about.
fn refunded_charge(path: &str) -> Option<&str> {
    path.strip_prefix(charge::PATH)?.strip_prefix('/')?.strip_suffix("/refunds").filter(|charge| !charge.contains('/'))
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn refuse(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    reply(status, &json!({"error": {"code": code, "message": ""}}))
}
