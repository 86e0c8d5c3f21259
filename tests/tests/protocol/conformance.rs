//! The conformance tester against providers that are right, and against providers with one fault each: it must name the fault.

use crate::shop::{Bugs, Running, SECRET};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use purser_conformance::{Report, Verdict};
use purser_provider::store::{Access, Begun, CodeRecord, Exchange, KeptAnswer, PairRecord};
use purser_provider::{MemoryStore, Store, StoreError};
use purser_values::{Env, Sha256Digest, Timestamp};
use purser_wire::control::ControlOrder;
use purser_wire::id::{AccountId, LinkId};
use purser_wire::signature::hmac;
use serde_json::{Value, json};

#[tokio::test]
async fn a_provider_on_the_sdk_passes_every_check() {
    let running = Running::start(Bugs::default()).await;
    let report = purser_conformance::run(running.options()).await;
    let text = report.render_text();
    assert!(report.ok, "{text}");
    assert_eq!(report.numbers(Verdict::Warn), Vec::<u16>::new(), "{text}");
    // no answer was `requires_auth`, waiting five minutes is for slow runs, and it sells nothing by use
    assert_eq!(report.numbers(Verdict::Skip), [42, 43, 50, 68, 69, 92], "{text}");
    assert_eq!(report.checks.len(), 73, "{text}");
    assert!(report.numbers(Verdict::Pass).len() >= 55, "{text}");
}

#[tokio::test]
async fn a_provider_that_demands_v2_and_assertions_passes_with_a_key() {
    let strict = |config: &mut purser_provider::Config| {
        config.require_v2 = true;
        config.require_assertion = true;
    };
    let running = Running::with(Bugs::default(), MemoryStore::default(), strict, |router| router).await;
    let mut options = running.options();
    assert!(!purser_conformance::run(options.clone()).await.ok, "it was taken without a key");
    options.attestor = Some(running.stub.attestor());
    let report = purser_conformance::run(options).await;
    assert!(report.ok, "{}", report.render_text());
}

#[tokio::test]
async fn a_provider_that_gives_tokens_at_once_passes() {
    let direct = |config: &mut purser_provider::Config| config.answer_with = purser_provider::AnswerWith::Credentials;
    let running = Running::with(Bugs::default(), MemoryStore::default(), direct, |router| router).await;
    let report = purser_conformance::run(running.options()).await;
    assert!(report.ok, "{}", report.render_text());
}

#[tokio::test]
async fn nobody_there_is_a_failure_and_not_a_pass() {
    let options = purser_conformance::Options::new(Env::system(), "http://127.0.0.1:1/".parse().unwrap(), SECRET.to_owned().into());
    assert!(!purser_conformance::run(options).await.ok);
}

async fn caught(report: Report, expected: &[u16]) {
    for number in expected {
        let check = report.check(*number).unwrap();
        assert!(matches!(check.verdict, Verdict::Fail | Verdict::Warn), "check {number} did not see it\n{}", report.render_text());
    }
}

async fn shop_with(bugs: Bugs, expected: &[u16]) {
    let running = Running::start(bugs).await;
    caught(purser_conformance::run(running.options()).await, expected).await;
}

#[tokio::test]
async fn a_provider_that_gives_paid_services_away_is_caught() {
    shop_with(Bugs { free_gold: true, ..Bugs::default() }, &[65, 66, 67]).await;
}

#[tokio::test]
async fn a_provider_that_ignores_declined_charges_is_caught() {
    shop_with(Bugs { ignores_declines: true, ..Bugs::default() }, &[66]).await;
}

#[tokio::test]
async fn a_provider_that_charges_twice_is_caught() {
    shop_with(Bugs { charges_twice: true, ..Bugs::default() }, &[67]).await;
}

#[tokio::test]
async fn a_provider_that_makes_an_account_for_each_request_is_caught() {
    shop_with(Bugs { account_per_request: true, ..Bugs::default() }, &[38, 40]).await;
}

#[tokio::test]
async fn a_provider_that_rotates_nothing_is_caught() {
    shop_with(Bugs { keeps_credentials: true, ..Bugs::default() }, &[72]).await;
}

#[tokio::test]
async fn a_provider_that_removes_nothing_is_caught() {
    shop_with(Bugs { removes_nothing: true, ..Bugs::default() }, &[74]).await;
}

#[tokio::test]
async fn a_provider_that_shows_other_accounts_resources_is_caught() {
    shop_with(Bugs { shows_everything: true, ..Bugs::default() }, &[61]).await;
}

/// A store with one fault.
#[derive(Default)]
struct Faulty {
    inner: MemoryStore,
    codes_work_twice: bool,
    old_pairs_live_on: bool,
    forgets_answers: bool,
    forgets_orders: bool,
}

impl Store for Faulty {
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
        if self.codes_work_twice {
            let found = self.inner.code_find(code).await?.unwrap();
            self.inner.pair_put(found.account.clone(), None, pair).await?;
            return Ok(Exchange::Done(Access::whole(found.account)));
        }
        self.inner.code_exchange(code, pair, now).await
    }
    async fn pair_put(&self, account: AccountId, link: Option<LinkId>, pair: PairRecord) -> Result<(), StoreError> {
        self.inner.pair_put(account, link, pair).await
    }
    async fn pair_rotate(&self, refresh: Sha256Digest, pair: PairRecord, now: Timestamp) -> Result<Option<Access>, StoreError> {
        let rotated = self.inner.pair_rotate(refresh, pair.clone(), now).await?;
        if let (true, Some(access)) = (self.old_pairs_live_on, &rotated) {
            self.inner.pair_put(access.account.clone(), None, PairRecord { refresh, ..pair }).await?;
        }
        Ok(rotated)
    }
    async fn access_find(&self, access: Sha256Digest, now: Timestamp) -> Result<Option<Access>, StoreError> {
        self.inner.access_find(access, now).await
    }
    async fn answer_begin(&self, scope: AccountId, key: String, request: Sha256Digest, now: Timestamp) -> Result<Begun, StoreError> {
        if self.forgets_answers { Ok(Begun::New) } else { self.inner.answer_begin(scope, key, request, now).await }
    }
    async fn answer_finish(&self, scope: AccountId, key: String, answer: KeptAnswer) -> Result<(), StoreError> {
        self.inner.answer_finish(scope, key, answer).await
    }
    async fn control_begin(&self, account: AccountId, subject: String, order: ControlOrder) -> Result<Option<ControlOrder>, StoreError> {
        if self.forgets_orders { Ok(None) } else { self.inner.control_begin(account, subject, order).await }
    }
}

async fn store_with(store: Faulty, expected: &[u16]) {
    let running = Running::with(Bugs::default(), store, |_| (), |router| router).await;
    caught(purser_conformance::run(running.options()).await, expected).await;
}

#[tokio::test]
async fn codes_that_work_twice_are_caught() {
    store_with(Faulty { codes_work_twice: true, ..Faulty::default() }, &[46]).await;
}

#[tokio::test]
async fn refresh_tokens_that_live_on_are_caught() {
    store_with(Faulty { old_pairs_live_on: true, ..Faulty::default() }, &[52]).await;
}

#[tokio::test]
async fn idempotency_keys_that_are_forgotten_are_caught() {
    store_with(Faulty { forgets_answers: true, ..Faulty::default() }, &[62]).await;
}

#[tokio::test]
async fn a_provider_that_lets_a_late_thaw_undo_a_freeze_is_caught() {
    store_with(Faulty { forgets_orders: true, ..Faulty::default() }, &[91]).await;
}

/// Changes each request before the provider sees it, signing it anew, so that one check of the provider is as good as gone.
async fn tampered(change: fn(&mut Tampered), expected: &[u16]) {
    let layer = move |request: Request, next: Next| async move {
        let (parts, body) = request.into_parts();
        let mut tampered = Tampered { parts, body: to_bytes(body, 1 << 20).await.unwrap() };
        change(&mut tampered);
        next.run(Request::from_parts(tampered.parts, Body::from(tampered.body))).await
    };
    let running = Running::with(Bugs::default(), MemoryStore::default(), |_| (), |router| router.layer(middleware::from_fn(layer))).await;
    caught(purser_conformance::run(running.options()).await, expected).await;
}

struct Tampered {
    parts: http::request::Parts,
    body: Bytes,
}

impl Tampered {
    fn sign(&mut self) {
        let signature = hmac::sign(&SECRET.to_owned().into(), &self.body, Env::system().now());
        self.parts.headers.insert("stripe-signature", signature.parse().unwrap());
    }

    fn signed_well(&self, now: Timestamp) -> bool {
        let header = self.parts.headers.get("stripe-signature").and_then(|v| v.to_str().ok()).unwrap_or_default();
        hmac::verify(&[SECRET.to_owned().into()], header, &self.body, now).is_ok()
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        let Ok(mut value) = serde_json::from_slice::<Value>(&self.body) else { return };
        edit(&mut value);
        self.body = value.to_string().into();
        self.sign();
    }
}

#[tokio::test]
async fn a_provider_that_checks_no_signature_is_caught() {
    tampered(Tampered::sign, &[2, 3, 4, 7, 8, 37, 51, 55]).await;
}

#[tokio::test]
async fn a_provider_that_forgets_the_age_of_signatures_is_caught() {
    let change = |t: &mut Tampered| {
        if t.signed_well(Env::system().now().plus_secs(-310)) {
            t.sign();
        }
    };
    tampered(change, &[5]).await;
}

#[tokio::test]
async fn a_provider_that_verifies_a_parsed_body_is_caught() {
    let change = |t: &mut Tampered| {
        if let Ok(value) = serde_json::from_slice::<Value>(&t.body) {
            t.body = value.to_string().into();
        }
    };
    tampered(change, &[9]).await;
}

#[tokio::test]
async fn a_provider_that_forgets_expiry_is_caught() {
    tampered(
        |t| {
            if t.signed_well(Env::system().now()) {
                t.edit(|body| body["expires_at"] = Value::Null)
            }
        },
        &[34],
    )
    .await;
}

#[tokio::test]
async fn a_provider_that_forgets_the_challenge_is_caught() {
    let change = |t: &mut Tampered| {
        if t.parts.uri.path().ends_with("account_requests") && t.signed_well(Env::system().now()) {
            t.edit(|body| {
                body["code_challenge"] = Value::Null;
                body["code_challenge_method"] = Value::Null;
            });
        }
    };
    tampered(change, &[48]).await;
}

/// Changes each answer before the tester sees it.
async fn answering(change: fn(&str, &mut Value), expected: &[u16]) {
    let layer = move |request: Request, next: Next| async move {
        let path = request.uri().path().to_owned();
        let (mut parts, body) = next.run(request).await.into_parts();
        let mut value: Value = serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap_or_default();
        change(&path, &mut value);
        parts.headers.remove("content-length");
        Response::from_parts(parts, Body::from(value.to_string()))
    };
    let running = Running::with(Bugs::default(), MemoryStore::default(), |_| (), |router| router.layer(middleware::from_fn(layer))).await;
    caught(purser_conformance::run(running.options()).await, expected).await;
}

#[tokio::test]
async fn a_catalogue_with_faults_is_caught() {
    let change = |path: &str, answer: &mut Value| {
        if path.ends_with("services") {
            let mut twin = answer["data"][0].clone();
            twin["description"] = json!("");
            twin["categories"] = json!(["teleport"]);
            twin["pricing"] =
                json!({"type": "paid", "paid": [{"type": "freeform", "is_default": true}, {"type": "freeform", "is_default": true}]});
            twin["allowed_updates"] = json!(["nothing"]);
            twin["configuration_schema"] = json!({"type": "array"});
            twin["constraints"] = json!({"count": {"at_most": 0}});
            let options = json!([{"type": "free", "parent_service_ids": ["greeting"]}]);
            let mut component = answer["data"][0].clone();
            component["id"] = json!("component");
            component["pricing"] =
                json!({"type": "component", "component": {"options": options}, "paid": {"type": "freeform", "freeform": "x"}});
            answer["data"].as_array_mut().unwrap().extend([twin, component]);
        }
    };
    answering(change, &[18, 19, 20, 21, 22, 23, 24, 25, 26, 27]).await;
}

#[tokio::test]
async fn answers_out_of_shape_are_caught() {
    let change = |path: &str, answer: &mut Value| {
        if answer["type"] == "oauth" {
            answer["id"] = json!("another");
            answer["credentials"] = json!({"type": "bearer"});
        }
        if path.contains("resources") && answer["status"] == "complete" {
            answer["complete"] = json!({"access_configuration": null});
        }
        if answer["error"]["code"] == "unknown_service" {
            *answer = json!({"detail": "no such service"});
        }
    };
    answering(change, &[15, 30, 31, 57, 58]).await;
}

#[tokio::test]
async fn an_error_that_repeats_a_code_is_caught() {
    let layer = |request: Request, next: Next| async move {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let said = String::from_utf8_lossy(&body).into_owned();
        let (parts, answer) = next.run(Request::from_parts(parts, Body::from(body))).await.into_parts();
        let mut value: Value = serde_json::from_slice(&to_bytes(answer, 1 << 20).await.unwrap()).unwrap();
        if value["error"].is_string() {
            value["error_description"] = json!(format!("cannot redeem {said}"));
        }
        let mut response = Response::new(Body::from(value.to_string()));
        *response.status_mut() = parts.status;
        response
    };
    let running = Running::with(Bugs::default(), MemoryStore::default(), |_| (), |router| router.layer(middleware::from_fn(layer))).await;
    caught(purser_conformance::run(running.options()).await, &[17, 54]).await;
}
