//! Billing from outside: a change of plan over the protocol, what a token may see, and books that agree with what was captured.

use std::time::Duration;

use http::{Method, StatusCode};
use purser_conformance::options::Payment as _;
use purser_values::id::CloudResourceId;
use purser_wire::quote::QuoteRequest;
use purser_wire::resource::{PaymentCredentials, ResourceState, UpdateResource};
use serde_json::{Map, json};
use slipway_billing::invoice::document_list;
use slipway_billing::price::Meter;
use slipway_billing::usage::room::room;

use crate::support::{World, access, order, permanent};

#[tokio::test]
async fn a_plan_is_changed_over_the_protocol_and_everything_is_in_the_books() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let free = world.create(&customer, &order("workers:free", json!({}), "agt_1"), "free").await.unwrap().id.unwrap();
    let made = world.create(&customer, &order("workers", json!({}), "agt_1"), "workers").await.unwrap();
    let (token, account) = {
        let access = access(&made);
        (access.0["CLOUDFLARE_API_TOKEN"].expose().clone(), access.0["CLOUDFLARE_ACCOUNT_ID"].expose().clone())
    };
    let path = format!("/accounts/{account}/subscriptions");
    let (_, listed) = world.api(&token, Method::GET, &path, None).await;
    assert_eq!((&listed["result"][0]["state"], &listed["result"][0]["rate_plan"]["id"]), (&json!("Provisioned"), &json!("workers:free")));

    // a card that declines leaves the plan as it was
    let update = |quote: &purser_wire::quote::Quote, token| UpdateResource {
        service_id: Some("workers:paid".parse().unwrap()),
        quote_id: Some(quote.id.clone()),
        payment_credentials: Some(PaymentCredentials::StripePaymentToken(token)),
        ..UpdateResource::default()
    };
    let asked = QuoteRequest {
        service_id: "workers:paid".parse().unwrap(),
        configuration: Map::new(),
        project_id: None,
        resource_id: Some(free.clone()),
        parties: None,
    };
    let quote = world.client.quote_create(&customer.access, &asked).await.unwrap();
    let lines: Vec<(&str, i64)> = quote.lines.iter().map(|line| (line.id.as_str(), line.amount.minor())).collect();
    assert_eq!(lines, [("plan", 500), ("usage", 0)]);
    let poor = update(&quote, world.stub.declined_token());
    let refused = world.client.resource_update(&customer.access, &free, &poor, &"u1".parse().unwrap()).await;
    assert_eq!(permanent(refused.unwrap_err()).code, "payment_declined");

    let quote = world.client.quote_create(&customer.access, &asked).await.unwrap();
    let good = world.stub.good_token();
    for _ in 0..2 {
        let changed = world.client.resource_update(&customer.access, &free, &update(&quote, good.clone()), &"u2".parse().unwrap()).await;
        assert!(matches!(changed.unwrap().state, ResourceState::Complete { .. }));
    }
    assert_eq!(world.stub.captured(&good).iter().map(|money| money.minor()).collect::<Vec<_>>(), [500]);
    let (_, listed) = world.api(&token, Method::GET, &path, None).await;
    let one = &listed["result"][0];
    assert_eq!((&one["state"], &one["rate_plan"]["id"], &one["price"]), (&json!("Paid"), &json!("workers:paid"), &json!(5.0)));
    let (_, own) = world.api(&token, Method::GET, "/user/subscriptions", None).await;
    assert_eq!(own["result"], listed["result"]);

    let resource: CloudResourceId = free.as_str().parse().unwrap();
    let account_id =
        world.cloud.db.read(move |tx| slipway_billing::subscription::get::subscription_get(tx, &resource)).await.unwrap().unwrap().account;
    let of = account_id.clone();
    let documents = world.cloud.db.read(move |tx| document_list(tx, &of)).await.unwrap();
    assert_eq!(documents.iter().map(|document| document.total_minor).collect::<Vec<_>>(), [500]);

    // somebody else's token sees none of it, and nobody's token can end anything
    let other = world.customer("pw_b").await;
    let theirs = world.workers(&other, "agt_2").await;
    assert_eq!(world.api(&theirs.token, Method::GET, &path, None).await.0, StatusCode::FORBIDDEN);
    let one = format!("{path}/{free}");
    assert_eq!(world.api(&token, Method::DELETE, &one, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.api(&token, Method::GET, &one, None).await.0, StatusCode::OK);

    // what the edge serves is counted
    let w = crate::support::Workers { resource: made.id.as_ref().unwrap().to_string(), token: token.clone(), account: account.clone() };
    world.upload(&w, "hello", "export default { fetch() { return new Response('hi') } }").await;
    let enable = format!("/accounts/{account}/workers/scripts/hello/subdomain");
    assert_eq!(world.api(&token, Method::POST, &enable, Some(json!({"enabled": true}))).await.0, StatusCode::OK);
    let (_, host) = world.api(&token, Method::GET, &format!("/accounts/{account}/workers/workers/hello"), None).await;
    let host = host["result"]["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();
    for _ in 0..5 {
        assert_eq!(world.visit(&host).await, (200, "hi".to_owned()));
    }
    let mut counted = 0;
    for _ in 0..200 {
        let of = account_id.clone();
        let found = world.cloud.db.read(move |tx| room(tx, &of)).await.unwrap().unwrap();
        counted = found.used.get(&Meter::Requests).copied().unwrap_or(0);
        if counted == 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(counted, 5);
}
