//! Names of hosts and numbers of acts: what is judged and counted before anything is given, and how fast the API may be called.

use http::{Method, StatusCode};
use purser_conformance::Payment as _;
use serde_json::{Value, json};
use slipway::abuse::incident::{Kept, Wanted, incidents};
use slipway::abuse::store::{review_clear, reviews};
use slipway_accounts::suspension::Mark;

use super::support::{Customer, Workers, World, order, paid};

const HELLO: &str = "export default { fetch() { return new Response('hello') } }";

/// An account with a domain, a Worker and a grant that all of it is under.
async fn scene(world: &World) -> (Customer, Workers, String) {
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_a").await;
    world.domain(&customer, "quiet-harbour.test", "agt_a").await;
    assert!(world.upload(&workers, "shop", HELLO).await.0.is_success());
    let (_, zones) = world.api(&workers.token, Method::GET, "/zones?name=quiet-harbour.test", None).await;
    let zone = zones["result"][0]["id"].as_str().unwrap().to_owned();
    (customer, workers, zone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_that_imitates_somebody_is_held_by_whichever_way_it_is_given() {
    let Some(world) = World::start().await else { return };
    let (_, workers, zone) = scene(&world).await;
    assert!(world.upload(&workers, "coinbase-wallet-login", HELLO).await.0.is_success());
    let account = format!("/accounts/{}/workers", workers.account);
    let lure = "coinbase-verify.quiet-harbour.test";
    let record = |name: &str, proxied: bool| json!({"type": "A", "name": name, "content": "192.0.2.1", "proxied": proxied, "ttl": 1});
    let records = format!("/zones/{zone}/dns_records");
    let ways = [
        ("the account's label", Method::PUT, format!("{account}/subdomain"), json!({"subdomain": "coinbase-support"})),
        ("a Worker's name", Method::POST, format!("{account}/scripts/coinbase-wallet-login/subdomain"), json!({"enabled": true})),
        ("a custom domain", Method::PUT, format!("{account}/scripts/shop/domains/records"), json!({"origins": [{"hostname": lure}]})),
        ("a route", Method::POST, format!("/zones/{zone}/workers/routes"), json!({"pattern": format!("{lure}/*"), "script": "shop"})),
        ("routes of a Worker", Method::PUT, format!("{account}/scripts/shop/routes"), json!([{"pattern": format!("*.{lure}/*")}])),
        ("a record", Method::POST, records.clone(), record(lure, true)),
        ("a record in pieces", Method::POST, records.clone(), record("files.drop-box.quiet-harbour.test", true)),
        (
            "a batch of records",
            Method::POST,
            format!("{records}/batch"),
            json!({"posts": [record("ok", true), record("binance-login", true)]}),
        ),
    ];
    let mut held = Vec::new();
    for (way, method, path, body) in &ways {
        let (status, said) = world.api(&workers.token, method.clone(), path, Some(body.clone())).await;
        assert_eq!((status, &said["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!(10_021)), "{way}: {said}");
        if said["errors"][0]["message"].as_str().unwrap().contains("is held") {
            held.push((way, method, path, body));
        }
    }
    let (_, kept) = world.api(&workers.token, Method::GET, &records, None).await;
    assert_eq!(kept["result"], json!([]), "something of a held change was made");
    // what leads elsewhere is not ours to give
    assert!(world.api(&workers.token, Method::POST, &records, Some(record(lure, false))).await.0.is_success());
    let seen = seen(&world, Wanted { kind: Some("held".to_owned()), ..Wanted::default() }).await;
    assert!(seen.iter().all(|one| one.agent.as_deref() == Some("agt_a")) && !seen.is_empty(), "{seen:?}");

    for review in world.cloud.db.read(reviews).await.unwrap() {
        let now = world.cloud.env.now();
        assert!(world.cloud.db.write(move |tx| review_clear(tx, &review.reference, now)).await.unwrap());
    }
    assert!(!held.is_empty(), "all were refused, none was held");
    for (way, method, path, body) in held {
        let (status, said) = world.api(&workers.token, method.clone(), path, Some(body.clone())).await;
        // somebody else's record of that name is in its way; that is not about the name
        let taken = said["errors"][0]["code"] == json!(100_117) || said["errors"][0]["code"] == json!(81_053);
        assert!(status.is_success() || taken, "{way} was cleared: {said}");
    }
    // ordinary names of the same ways are not held
    let (status, said) =
        world.api(&workers.token, Method::POST, &format!("{account}/scripts/shop/subdomain"), Some(json!({"enabled": true}))).await;
    assert!(status.is_success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_hosts_than_a_person_may_put_online_in_an_hour_wait_for_the_operator() {
    let Some(world) = World::start().await else { return };
    let (_, workers, zone) = scene(&world).await;
    let batch = format!("/zones/{zone}/dns_records/batch");
    let posts = |from: u32, to: u32| -> Value {
        let record = |n| json!({"type": "A", "name": format!("n{n}"), "content": "192.0.2.1", "proxied": true, "ttl": 1});
        json!({"posts": (from..to).map(record).collect::<Vec<_>>()})
    };
    assert!(world.api(&workers.token, Method::POST, &batch, Some(posts(0, 60))).await.0.is_success());
    let (status, said) = world.api(&workers.token, Method::POST, &batch, Some(posts(60, 61))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    let held = world.cloud.db.read(reviews).await.unwrap();
    assert_eq!((held.len(), held[0].what.as_str()), (1, "pace"), "{held:?}");
    assert!(said["errors"][0]["message"].as_str().unwrap().contains(&held[0].reference), "{said}");
    let again = json!({"puts": [], "patches": []});
    assert!(world.api(&workers.token, Method::POST, &batch, Some(again)).await.0.is_success(), "what gives no host goes on");
    let (reference, now) = (held[0].reference.clone(), world.cloud.env.now());
    assert!(world.cloud.db.write(move |tx| review_clear(tx, &reference, now)).await.unwrap());
    assert!(world.api(&workers.token, Method::POST, &batch, Some(posts(60, 70))).await.0.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_known_by_their_mailbox_and_a_family_of_domains_by_its_stem() {
    let Some(world) = World::start().await else { return };
    for number in 0..3 {
        let request = world.account_request(&format!("Eve+{number}@example.test"), &format!("eve{number}")).await;
        world.redeem(&request).await;
    }
    let request = world.account_request("eve+more@example.test", "eve-more").await;
    let refused = world.client.account_request(&request).await.unwrap_err();
    assert!(refused.to_string().contains("too") || refused.to_string().contains("abuse"), "{refused}");

    let mut last = None;
    for number in 0..11 {
        let customer = world.customer(&format!("c{number}")).await;
        let configuration = json!({"domain": format!("lantern-{number}-bay.test")});
        let quote = world.quote(&customer, "registrar:domain", configuration.clone()).await.unwrap();
        let request = paid(order("registrar:domain", configuration, &format!("agt_{number}")), &quote, world.stub.good_token());
        last = Some(world.create(&customer, &request, "domain").await);
        assert_eq!(last.as_ref().unwrap().is_ok(), number < 10, "{number}: {last:?}");
    }
    let refused = last.unwrap().unwrap_err();
    let held = world.cloud.db.read(reviews).await.unwrap();
    assert_eq!(refused.code, "abuse_held");
    assert!(refused.message.contains(&held[0].reference) && refused.message.contains("family"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_calls_too_often_is_told_to_wait_and_the_operator_sees_it() {
    let Some(world) = World::start().await else { return };
    let (customer, workers, zone) = scene(&world).await;
    let other = world.workers(&customer, "agt_b").await;
    let mut refused = None;
    for number in 0..1_400 {
        let (status, said) = world.api(&workers.token, Method::GET, "/user", None).await;
        if !status.is_success() {
            refused = Some((number, status, said));
            break;
        }
    }
    let (_, status, said) = refused.expect("1,400 calls in a row were answered");
    assert_eq!((status, &said["errors"][0]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!(971)), "{said}");
    let purge = json!({"type": "TXT", "name": "x", "content": "y"});
    for _ in 0..20 {
        world.api(&workers.token, Method::POST, &format!("/zones/{zone}/dns_records"), Some(purge.clone())).await;
    }
    assert!(world.api(&other.token, Method::GET, "/user", None).await.0.is_success(), "another token of the account stopped");
    let mark: Mark = "agent=agt_a".parse().unwrap();
    let wanted = Wanted { mark: Some(mark), kind: Some("api-rate".to_owned()), ..Wanted::default() };
    eventually(&world, wanted, |found| found.iter().any(|one| one.times > 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hostile_code_tried_is_listed_by_kind_grant_script_and_time() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("mallory").await;
    world.create(&customer, &order("workers:free", json!({}), "agt_m"), "plan").await.unwrap();
    let mut wanted = order("workers", json!({}), "agt_m");
    wanted.agent.as_mut().unwrap().grant = Some("grt_m".to_owned());
    let made = world.create(&customer, &wanted, "workers").await.unwrap();
    let access = super::support::access(&made);
    let workers = Workers {
        resource: made.id.as_ref().unwrap().to_string(),
        token: access.0["CLOUDFLARE_API_TOKEN"].expose().clone(),
        account: access.0["CLOUDFLARE_ACCOUNT_ID"].expose().clone(),
    };
    let code =
        "export default { async fetch() { try { await fetch('http://169.254.169.254/latest/') } catch {} return new Response('done') } }";
    assert!(world.upload(&workers, "scan", code).await.0.is_success());
    let path = format!("/accounts/{}/workers/scripts/scan/subdomain", workers.account);
    assert!(world.api(&workers.token, Method::POST, &path, Some(json!({"enabled": true}))).await.0.is_success());
    let (_, below) = world.api(&workers.token, Method::GET, &format!("/accounts/{}/workers/subdomain", workers.account), None).await;
    let host = format!("scan.{}.{}", below["result"]["subdomain"].as_str().unwrap(), world.cloud.nameserver.common_domain().unwrap());
    let host = host.strip_suffix(".localhost").unwrap_or(&host).to_owned();
    assert_eq!(world.visit(&host).await.0, 200);
    let by = |kind: &str| Wanted { kind: Some(kind.to_owned()), ..Wanted::default() };
    let egress = Wanted { script: Some("scan".to_owned()), mark: Some("grant=grt_m".parse().unwrap()), ..by("egress") };
    let found = eventually(&world, egress.clone(), |found| !found.is_empty()).await;
    assert!(found[0].detail.contains("169.254.169.254") && found[0].agent.as_deref() == Some("agt_m"), "{found:?}");
    let began = found[0].first_at;
    for (none, why) in [
        (by("cpu"), "another kind"),
        (Wanted { script: Some("shop".to_owned()), ..egress.clone() }, "another script"),
        (Wanted { mark: Some("grant=grt_x".parse().unwrap()), ..egress.clone() }, "another grant"),
        (Wanted { since: Some(began.plus_secs(1)), ..egress.clone() }, "later"),
        (Wanted { before: Some(began), ..egress.clone() }, "earlier"),
        (Wanted { after: Some((began, found[0].id.clone())), ..egress }, "the next page"),
    ] {
        assert_eq!(seen(&world, none).await, Vec::<Kept>::new(), "{why}");
    }
}

async fn seen(world: &World, wanted: Wanted) -> Vec<Kept> {
    let wanted = Wanted { limit: 100, ..wanted };
    world.cloud.db.read(move |tx| incidents(tx, &wanted)).await.unwrap()
}

/// Incidents are kept within a second or two.
async fn eventually(world: &World, wanted: Wanted, is: impl Fn(&[Kept]) -> bool) -> Vec<Kept> {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let found = seen(world, wanted.clone()).await;
        if is(&found) {
            return found;
        }
        assert!(std::time::Instant::now() < until, "not seen: {wanted:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
