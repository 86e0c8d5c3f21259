//! Crashes, callers that hang up, and an orchestrator that is not there: nothing is lost and nothing happens twice.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use purser_conformance::StubOrchestrator;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_provider::store::{Access, Begun, CodeRecord, Exchange, KeptAnswer, PairRecord};
use purser_provider::{MemoryStore, OrchestratorClient, OrchestratorError, OrchestratorKeys, Store, StoreError};
use purser_values::{Env, Sha256Digest, Timestamp};
use purser_wire::control::ControlOrder;
use purser_wire::event::{EventKind, ProviderEvent};
use purser_wire::id::{AccountId, LinkId};
use serde_json::json;
use tokio::sync::Notify;
use url::Url;

use crate::client::{client, greeting, request, tokens, value};
use crate::shop::{Bugs, Running};

/// A store that can fail or wait when an answer is to be kept, and counts.
#[derive(Default)]
struct Watched {
    inner: MemoryStore,
    failures: AtomicU32,
    gate: Option<Arc<Notify>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    new: AtomicU32,
    unfinished: AtomicU32,
    finished: AtomicU32,
}

impl Store for Watched {
    async fn nonce_use(&self, nonce: Sha256Digest, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.nonce_use(nonce, expires_at, now).await
    }
    async fn code_put(&self, code: Sha256Digest, record: CodeRecord) -> Result<(), StoreError> {
        self.inner.code_put(code, record).await
    }
    async fn code_find(&self, code: Sha256Digest) -> Result<Option<CodeRecord>, StoreError> {
        self.inner.code_find(code).await
    }
    async fn code_exchange(&self, code: Sha256Digest, pair: PairRecord, now: Timestamp) -> Result<Exchange, StoreError> {
        self.inner.code_exchange(code, pair, now).await
    }
    async fn pair_put(&self, account: AccountId, link: Option<LinkId>, pair: PairRecord) -> Result<(), StoreError> {
        self.inner.pair_put(account, link, pair).await
    }
    async fn pair_rotate(&self, refresh: Sha256Digest, pair: PairRecord, now: Timestamp) -> Result<Option<Access>, StoreError> {
        self.inner.pair_rotate(refresh, pair, now).await
    }
    async fn access_find(&self, access: Sha256Digest, now: Timestamp) -> Result<Option<Access>, StoreError> {
        self.inner.access_find(access, now).await
    }
    async fn answer_begin(&self, scope: AccountId, key: String, request: Sha256Digest, now: Timestamp) -> Result<Begun, StoreError> {
        let begun = self.inner.answer_begin(scope, key, request, now).await?;
        match begun {
            Begun::New => &self.counts.new,
            Begun::Unfinished => &self.counts.unfinished,
            _ => &self.counts.finished,
        }
        .fetch_add(1, Ordering::SeqCst);
        Ok(begun)
    }
    async fn answer_finish(&self, scope: AccountId, key: String, answer: KeptAnswer) -> Result<(), StoreError> {
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(StoreError::new("the disk is full"));
        }
        assert!(!answer.sealed.windows(6).any(|w| w == b"greet_"), "a credential is kept in plain text");
        self.inner.answer_finish(scope, key, answer).await
    }
    async fn control_begin(&self, account: AccountId, subject: String, order: ControlOrder) -> Result<Option<ControlOrder>, StoreError> {
        self.inner.control_begin(account, subject, order).await
    }
}

async fn watched(store: Watched) -> (Running, Arc<Counts>) {
    let counts = store.counts.clone();
    (Running::with(Bugs::default(), store, |_| (), |router| router).await, counts)
}

#[tokio::test]
async fn a_change_that_was_not_answered_is_run_again_under_its_key_and_then_kept() {
    let (running, counts) = watched(Watched { failures: AtomicU32::new(1), ..Watched::default() }).await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let key = "k".parse().unwrap();
    let lost = client.resource_create(&access, &greeting(), &key).await.unwrap_err();
    assert!(lost.is_transient() && !lost.to_string().contains("disk"), "{lost}");
    let second = client.resource_create(&access, &greeting(), &key).await.unwrap();
    let third = client.resource_create(&access, &greeting(), &key).await.unwrap();
    assert_eq!(value(&second), value(&third));
    let seen = [&counts.new, &counts.unfinished, &counts.finished].map(|n| n.load(Ordering::SeqCst));
    assert_eq!(seen, [1, 1, 1]);
}

#[tokio::test]
async fn a_change_goes_on_when_its_caller_hangs_up() {
    let gate = Arc::new(Notify::new());
    let (running, counts) = watched(Watched { gate: Some(gate.clone()), ..Watched::default() }).await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let (key, body) = ("k".parse().unwrap(), greeting());
    let impatient = tokio::time::timeout(Duration::from_millis(200), client.resource_create(&access, &body, &key)).await;
    assert!(impatient.is_err(), "the change was answered before it was finished");
    gate.notify_one();
    // only the first attempt can have kept an answer: nobody opens the gate a second time
    let again = tokio::time::timeout(Duration::from_secs(5), client.resource_create(&access, &body, &key)).await.unwrap();
    assert!(again.is_ok());
    assert_eq!(counts.unfinished.load(Ordering::SeqCst), 0);
    assert_eq!(counts.finished.load(Ordering::SeqCst), 1);
}

/// Answers with each status in turn, then 200, and keeps what came.
#[derive(Default)]
struct Flaky {
    statuses: Mutex<Vec<u16>>,
    seen: Mutex<Vec<HeaderMap>>,
}

async fn flaky(statuses: &[u16]) -> (OrchestratorClient, Arc<Flaky>) {
    async fn take(State(flaky): State<Arc<Flaky>>, headers: HeaderMap) -> Response {
        flaky.seen.lock().unwrap().push(headers);
        let status = flaky.statuses.lock().unwrap().pop().unwrap_or(200);
        let body =
            if status == 200 { json!({"id": "e1", "accepted": true}) } else { json!({"code": "frozen", "detail": "no", "status": status}) };
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    }
    let flaky = Arc::new(Flaky { statuses: Mutex::new(statuses.iter().rev().copied().collect()), ..Flaky::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let router = axum::Router::new().fallback(take).with_state(flaky.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let fetcher = Fetcher::new(Origin::of(&url).into_iter().collect()).unwrap();
    (OrchestratorClient::new(fetcher, url, SigningKey::generate(Algorithm::EdDsa).unwrap(), Env::system()), flaky)
}

fn event() -> ProviderEvent {
    ProviderEvent {
        id: "e1".to_owned(),
        kind: EventKind::DeploymentCreated,
        occurred_at: Env::system().now(),
        account_id: "acct_1".parse().unwrap(),
        resource_id: None,
        agent_id: None,
        deployment: None,
        data: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn a_message_is_repeated_under_one_key_with_fresh_signatures_until_it_is_taken() {
    let (client, flaky) = flaky(&[503, 429, 500]).await;
    assert!(client.event(&event()).await.unwrap().accepted);
    let seen = flaky.seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|h| h["idempotency-key"] == "e1"));
    assert!(seen.windows(2).all(|pair| pair[0]["signature-input"] != pair[1]["signature-input"]));
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_silence_is_not_a_refusal() {
    let (client, refusing) = flaky(&[403]).await;
    let error = client.event(&event()).await.unwrap_err();
    assert!(matches!(&error, OrchestratorError::Refused(body) if body.code == "frozen"), "{error}");
    assert_eq!(refusing.seen.lock().unwrap().len(), 1);
    let (client, _) = flaky(&[500; 9]).await;
    assert!(matches!(client.event(&event()).await, Err(OrchestratorError::Unknown(_))));
}

#[tokio::test]
async fn keys_are_fetched_once_and_a_stranger_cannot_make_us_fetch_more() {
    let (env, clock) = Env::test(Env::system().now(), 1);
    let stub = StubOrchestrator::start(env.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let fetcher = Fetcher::new(Origin::of(stub.url()).into_iter().collect()).unwrap();
    let keys = OrchestratorKeys::fetched(fetcher, stub.url()).unwrap();
    let kid = stub.attestor().key.public().thumbprint();
    assert!(keys.find(&kid, env.now()).await.is_ok());
    drop(stub);
    // the orchestrator is gone: what is known still works, what is unknown is unknown at once
    assert!(keys.find(&kid, env.now()).await.is_ok());
    assert!(keys.find("stranger", env.now()).await.is_err());
    clock.advance_secs(301);
    assert!(keys.find(&kid, env.now()).await.is_ok(), "a key that is not over was thrown away");
    clock.advance_secs(24 * 3600);
    assert!(keys.find(&kid, env.now()).await.is_err(), "a key that is over was taken");
}
