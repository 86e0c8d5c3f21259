//! Orders over the wire: accounts, plans, tokens, domains, money; and what stops them.

use crate::support::{SECRET, World, access, order, paid, permanent};
use axum::body::Body;
use http::{Method, StatusCode};
use purser_client::ControlError;
use purser_conformance::options::Payment as _;
use purser_db::{DbError, params};
use purser_values::Env;
use purser_wire::account::AccountAnswer;
use purser_wire::control::{AccountControl, ControlOrder};
use purser_wire::id::ResourceId;
use purser_wire::quote::{Parties, QuoteRequest};
use purser_wire::resource::{AgentRef, ResourceState};
use serde_json::json;
use tower::ServiceExt as _;

async fn works(world: &World, token: &str) -> bool {
    let (_, body) = world.api(token, Method::GET, "/accounts", None).await;
    body["success"] == true
}

#[tokio::test]
async fn one_subject_gets_one_account_and_another_subject_of_the_same_address_gets_a_page_for_its_owner() {
    let Some(world) = World::start().await else { return };
    let first = world.customer("pw_a").await;
    assert_eq!(world.customer("pw_a").await.account, first.account);
    let other = world.client.account_request(&world.account_request("pw_a@example.test", "pw_b").await).await.unwrap();
    assert!(matches!(other, AccountAnswer::RequiresAuth { .. }), "{other:?}");
    let mut bare = world.account_request("pw_a@example.test", "pw_c").await;
    bare.identity_assertion = None;
    let refused = world.client.account_request(&bare).await.unwrap_err();
    assert_eq!(permanent(refused).code, "invalid_assertion");
}

#[tokio::test]
async fn the_shared_secret_alone_opens_nothing() {
    let Some(world) = World::start().await else { return };
    for (method, path) in [(Method::GET, "health"), (Method::GET, "services"), (Method::POST, "account_requests")] {
        let signature = purser_wire::signature::hmac::sign(&SECRET.to_owned().into(), b"", Env::system().now());
        let request = http::Request::builder()
            .method(&method)
            .uri(format!("/provisioning/{path}"))
            .header("api-version", purser_wire::VERSION)
            .header("stripe-signature", signature)
            .body(Body::empty())
            .unwrap();
        let response = world.app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path} without the second signature");
    }
}

#[tokio::test]
async fn a_repeated_account_request_gets_a_fresh_code_for_the_same_account() {
    let Some(world) = World::start().await else { return };
    let request = world.account_request("pw_a@example.test", "pw_a").await;
    let first = world.redeem(&request).await;
    let mut again = world.account_request("pw_a@example.test", "pw_a").await;
    again.id = request.id.clone();
    assert_eq!(world.redeem(&again).await.account, first.account);
    assert!(world.client.account_request(&request).await.is_err(), "an assertion was taken twice");
}

#[tokio::test]
async fn a_paid_plan_is_charged_once_however_often_its_order_is_repeated() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let plan = || order("workers:paid", json!({}), "agt_1");
    let refused = world.create(&customer, &plan(), "k1").await.unwrap_err();
    assert_eq!(refused.code, "requires_payment_credentials");

    let quote = world.quote(&customer, "workers:paid", json!({})).await.unwrap();
    assert_eq!((quote.total().to_string(), quote.irreversible), ("USD 5.00".to_owned(), false));
    let token = world.stub.good_token();
    let request = paid(plan(), &quote, token.clone());
    let made = world.create(&customer, &request, "k2").await.unwrap();
    let again = world.create(&customer, &request, "k2").await.unwrap();
    assert_eq!(made.id, again.id);
    assert_eq!(world.stub.captured(&token).len(), 1);

    let used = world.create(&customer, &paid(plan(), &quote, token.clone()), "k3").await.unwrap_err();
    assert_eq!(used.code, "quote_mismatch", "a quote was accepted by two orders");
    assert_eq!(world.stub.captured(&token).len(), 1);
}

#[tokio::test]
async fn a_declined_payment_leaves_no_plan_behind() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let quote = world.quote(&customer, "workers:paid", json!({})).await.unwrap();
    let request = paid(order("workers:paid", json!({}), "agt_1"), &quote, world.stub.declined_token());
    assert_eq!(world.create(&customer, &request, "k1").await.unwrap_err().code, "payment_declined");
    let refused = world.create(&customer, &order("workers", json!({}), "agt_1"), "k2").await.unwrap_err();
    assert_eq!(refused.code, "plan_required");
}

#[tokio::test]
async fn a_crash_between_charge_and_plan_is_finished_by_the_next_start_without_a_second_charge() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let quote = world.quote(&customer, "workers:paid", json!({})).await.unwrap();
    let token = world.stub.good_token();
    let made = world.create(&customer, &paid(order("workers:paid", json!({}), "agt_1"), &quote, token.clone()), "k1").await.unwrap();
    let id = made.id.unwrap();
    // What the database holds when the process dies after the orchestrator was asked and before its answer was written.
    let (resource, keyring, env) = (id.to_string(), world.cloud.keyring.clone(), world.cloud.env.clone());
    let sealed = keyring.seal(&env, &format!("payment_token/{resource}"), token.expose().as_bytes()).unwrap();
    world
        .cloud
        .db
        .write(move |tx| -> Result<(), DbError> {
            tx.execute("delete from cloud_subscription where resource = $1", params![resource])?;
            tx.execute("update cloud_resource set state = 'pending' where id = $1", params![resource])?;
            let intended = "update cloud_charge set state = 'intended', payment_token = $2 where resource = $1";
            tx.execute(intended, params![resource, sealed])?;
            Ok(())
        })
        .await
        .unwrap();
    assert!(matches!(world.client.resource_get(&customer.access, &id).await.unwrap().state, ResourceState::Pending));
    let world = world.restart().await;
    complete(&world, &customer, &id).await;
    assert_eq!(world.stub.captured(&token).len(), 1, "the plan was paid twice");
}

#[tokio::test]
async fn one_agents_credentials_stop_and_start_while_anothers_go_on() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let one = world.workers(&customer, "agt_1").await;
    let two = world.workers(&customer, "agt_2").await;
    assert!(works(&world, &one.token).await && works(&world, &two.token).await);
    let agent = AgentRef { id: "agt_1".parse().unwrap(), jkt: None, grant: None };
    assert_eq!(world.client.credentials_disable(&customer.access, &agent, None).await.unwrap(), 1);
    assert!(!works(&world, &one.token).await);
    assert!(works(&world, &two.token).await);
    let refused = world.create(&customer, &order("workers", json!({}), "agt_1"), "k9").await.unwrap_err();
    assert_eq!(refused.code, "credentials_disabled");
    let (status, body) = world.api(&one.token, Method::GET, "/user/tokens/verify", None).await;
    assert_eq!((status, &body["result"]["status"]), (StatusCode::OK, &json!("disabled")));
    world.client.credentials_enable(&customer.access, &agent, None).await.unwrap();
    assert!(works(&world, &one.token).await, "the same value does not work again");
}

#[tokio::test]
async fn a_late_call_does_not_let_a_stopped_agent_go_on_also_after_a_restart() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let one = world.workers(&customer, "agt_1").await;
    let agent = AgentRef { id: "agt_1".parse().unwrap(), jkt: None, grant: None };
    let number = |number: u64| Some(ControlOrder::try_from(number).unwrap());
    world.client.credentials_enable(&customer.access, &agent, number(5)).await.unwrap();
    world.client.credentials_disable(&customer.access, &agent, number(6)).await.unwrap();
    let late = world.client.credentials_enable(&customer.access, &agent, number(5)).await;
    assert_eq!(late, Err(ControlError::Superseded { by: number(6) }));
    let world = world.restart().await;
    let late = world.client.credentials_enable(&customer.access, &agent, number(5)).await;
    assert_eq!(late, Err(ControlError::Superseded { by: number(6) }), "a restart forgot the number");
    assert!(!works(&world, &one.token).await);
    world.client.credentials_enable(&customer.access, &agent, number(7)).await.unwrap();
    assert!(works(&world, &one.token).await);
}

#[tokio::test]
async fn a_frozen_account_orders_nothing_and_a_dark_one_is_off_line_until_the_thaw() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let workers = world.workers(&customer, "agt_1").await;
    world.domain(&customer, "frozen-site.test", "agt_1").await;
    world.upload(&workers, "site", "export default { fetch() { return new Response('here') } }").await;
    connect(&world, &workers, "site", "frozen-site.test").await;
    assert_eq!(world.visit("frozen-site.test").await, (200, "here".to_owned()));

    world.client.account_freeze(&customer.access, AccountControl { dark: false, order: None }).await.unwrap();
    assert!(!works(&world, &workers.token).await);
    assert_eq!(world.visit("frozen-site.test").await.0, 200, "a freeze without `dark` took the site off line");
    assert_eq!(world.create(&customer, &order("workers", json!({}), "agt_2"), "k1").await.unwrap_err().code, "account_frozen");
    world.client.account_freeze(&customer.access, AccountControl { dark: true, order: None }).await.unwrap();
    assert_eq!(world.visit("frozen-site.test").await.0, 403);
    world.client.account_thaw(&customer.access, None).await.unwrap();
    assert!(works(&world, &workers.token).await);
    assert_eq!(world.visit("frozen-site.test").await.0, 200);
}

#[tokio::test]
async fn a_rotated_token_replaces_the_old_one_and_a_removed_one_takes_its_scripts_along() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let workers = world.workers(&customer, "agt_1").await;
    let other = world.workers(&customer, "agt_2").await;
    let id: ResourceId = workers.resource.parse().unwrap();
    let seen = world.client.resource_get(&customer.access, &id).await.unwrap();
    assert!(!access(&seen).0.contains_key("CLOUDFLARE_API_TOKEN"), "a token was shown again");

    let rotated = world.client.resource_rotate(&customer.access, &id, &"r1".parse().unwrap()).await.unwrap();
    let token = access(&rotated).0["CLOUDFLARE_API_TOKEN"].expose().clone();
    assert!(!works(&world, &workers.token).await && works(&world, &token).await);

    let mine = crate::support::Workers { token: token.clone(), ..workers };
    let code = "export default { fetch() { return new Response('x') } }";
    assert_eq!(world.upload(&mine, "mine", code).await.0, StatusCode::OK);
    assert_eq!(world.upload(&other, "theirs", code).await.0, StatusCode::OK);
    let removed = world.client.resource_remove(&customer.access, &id, &"r2".parse().unwrap()).await.unwrap();
    assert!(matches!(removed.state, ResourceState::Removed));
    assert!(!works(&world, &token).await);
    let list = format!("/accounts/{}/workers/scripts", other.account);
    let (_, body) = world.api(&other.token, Method::GET, &list, None).await;
    let names: Vec<_> = body["result"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
    assert_eq!(names, [json!("theirs")]);
}

#[tokio::test]
async fn a_domain_is_bought_by_its_exact_name_once_and_refusals_cost_nothing() {
    let Some(world) = World::start().await else { return };
    let (ada, bob) = (world.customer("pw_a").await, world.customer("pw_b").await);
    for (name, code) in [("taken.test", "domain_taken"), ("premium.test", "domain_premium"), ("shop.com", "domain_suffix_unsupported")] {
        assert_eq!(world.quote(&ada, "registrar:domain", json!({"domain": name})).await.unwrap_err().code, code, "{name}");
    }
    let invalid = world.quote(&ada, "registrar:domain", json!({"domain": "a..test"})).await.unwrap_err();
    assert_eq!(invalid.code, "domain_invalid");
    let extra = world.create(&ada, &order("registrar:domain", json!({"domain": "a.test", "years": 3}), "agt_1"), "k0").await.unwrap_err();
    assert_eq!(extra.code, "invalid_configuration");

    let quote = world.quote(&ada, "registrar:domain", json!({"domain": "ada-shop.test"})).await.unwrap();
    assert_eq!((quote.total().to_string(), quote.irreversible), ("USD 9.15".to_owned(), true));
    let theirs = world.quote(&bob, "registrar:domain", json!({"domain": "ada-shop.test"})).await.unwrap();
    let made = world.domain(&ada, "ada-shop.test", "agt_1").await;
    assert_eq!(made.endpoints[0].value, "ada-shop.test");
    let late = world.stub.good_token();
    let request = paid(order("registrar:domain", json!({"domain": "ada-shop.test"}), "agt_2"), &theirs, late.clone());
    assert_eq!(world.create(&bob, &request, "k1").await.unwrap_err().code, "domain_taken");
    assert!(world.stub.captured(&late).is_empty(), "a taken name was paid for");
}

#[tokio::test]
async fn a_domain_that_was_let_go_is_taken_up_again_without_paying_twice() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let workers = world.workers(&customer, "agt_1").await;
    let made = world.domain(&customer, "come-back.test", "agt_1").await;
    world.upload(&workers, "site", "export default { fetch() { return new Response('x') } }").await;
    connect(&world, &workers, "site", "come-back.test").await;
    let id = made.id.unwrap();
    let removed = world.client.resource_remove(&customer.access, &id, &"r1".parse().unwrap()).await.unwrap();
    assert!(matches!(removed.state, ResourceState::Removed));
    assert_eq!(world.visit("come-back.test").await.0, 404);
    let (_, zones) = world.api(&workers.token, Method::GET, "/zones", None).await;
    assert_eq!(zones["result"], json!([]));

    let quote = world.quote(&customer, "registrar:domain", json!({"domain": "come-back.test"})).await.unwrap();
    assert_eq!(quote.total_minor, 0);
    let mut request = order("registrar:domain", json!({"domain": "come-back.test"}), "agt_1");
    request.quote_id = Some(quote.id);
    world.create(&customer, &request, "again").await.unwrap();
    connect(&world, &workers, "site", "come-back.test").await;
    assert_eq!(world.visit("come-back.test").await.0, 200);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_domain_order_ends_with_one_payment_and_one_domain() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let configuration = json!({"domain": "crashed.test"});
    let quote = world.quote(&customer, "registrar:domain", configuration.clone()).await.unwrap();
    let token = world.stub.good_token();
    let request = paid(order("registrar:domain", configuration, "agt_1"), &quote, token.clone());
    let id = world.create(&customer, &request, "k1").await.unwrap().id.unwrap();
    // Paid and ordered; the process dies before the registry's answer is written.
    let resource = id.to_string();
    world
        .cloud
        .db
        .write(move |tx| -> Result<(), DbError> {
            tx.execute("update cloud_resource set state = 'pending' where id = $1", params![resource])?;
            let open = "update domain set state = 'pending', registered_at = null, expires_at = null where request = $1";
            tx.execute(open, params![resource])?;
            tx.execute("delete from dns_zone where name = 'crashed.test'", params![])?;
            Ok(())
        })
        .await
        .unwrap();
    let world = world.restart().await;
    complete(&world, &customer, &id).await;
    assert_eq!(world.stub.captured(&token).len(), 1);
    let zones = world.cloud.db.read(|tx| tx.query("select name from dns_zone", params![])).await.unwrap();
    assert_eq!(zones.len(), 1, "the domain has no zone");
}

/// Waits until an open order is finished by nobody's request.
async fn complete(world: &World, customer: &crate::support::Customer, id: &ResourceId) {
    for _ in 0..200 {
        let seen = world.client.resource_get(&customer.access, id).await.unwrap();
        if matches!(seen.state, ResourceState::Complete { .. }) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the order stayed open");
}

async fn connect(world: &World, workers: &crate::support::Workers, script: &str, host: &str) {
    let path = format!("/accounts/{}/workers/scripts/{script}/domains/records", workers.account);
    let (status, body) = world.api(&workers.token, Method::PUT, &path, Some(json!({"origins": [{"hostname": host}]}))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn a_quote_is_between_this_provider_and_the_account_that_pays_and_for_nobody_else() {
    let Some(world) = World::start().await else { return };
    let (customer, other) = (world.customer("pw_a").await, world.customer("pw_b").await);
    let own = world.cloud.manifest.name.to_string();
    let asked = |provider: &str, payer: &str| QuoteRequest {
        service_id: "workers:paid".parse().unwrap(),
        configuration: serde_json::Map::new(),
        project_id: None,
        resource_id: None,
        parties: Some(Parties { provider: provider.parse().unwrap(), payer: payer.parse().unwrap() }),
    };
    for (provider, payer) in [("another", customer.account.as_str()), (own.as_str(), other.account.as_str())] {
        let refused = world.client.quote_create(&customer.access, &asked(provider, payer)).await.unwrap_err();
        assert_eq!(permanent(refused).code, "quote_mismatch", "{provider} and {payer}");
    }
    let quote = world.client.quote_create(&customer.access, &asked(&own, &customer.account)).await.unwrap();
    let plan = || paid(order("workers:paid", json!({}), "agt_1"), &quote, world.stub.good_token());
    assert_eq!(world.create(&other, &plan(), "k1").await.unwrap_err().code, "quote_mismatch", "somebody else's quote was taken");
    let configured = paid(order("registrar:domain", json!({"domain": "x.test"}), "agt_1"), &quote, world.stub.good_token());
    assert_eq!(world.create(&customer, &configured, "k2").await.unwrap_err().code, "quote_mismatch", "another service was bought with it");
    let made = world.create(&customer, &plan(), "k3").await.unwrap();
    assert!(matches!(made.state, ResourceState::Complete { .. }));
}
