//! Clients that hang up at any moment of an upload: what was begun is deployed, and what is deployed is what visitors get.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::{DATE, ESM, World, multipart};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_leaves_no_version_that_is_deployed_and_not_live() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("hasty").await;
    let workers = world.workers(&customer, "agt_hasty").await;
    world.upload(&workers, "hasty", &code(0)).await;
    let path = format!("/accounts/{}/workers/scripts/hasty", workers.account);
    world.api(&workers.token, Method::POST, &format!("{path}/subdomain"), Some(json!({"enabled": true}))).await;
    let (_, found) = world.api(&workers.token, Method::GET, &format!("/accounts/{}/workers/workers/hasty", workers.account), None).await;
    let host = found["result"]["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();

    for number in 1..=20_u64 {
        let metadata = json!({"main_module": "index.js", "compatibility_date": DATE, "bindings": []});
        let (kind, body) =
            multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code(number).as_bytes())]);
        let request = Request::put(format!("/client/v4{path}"))
            .header("authorization", format!("Bearer {}", workers.token))
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap();
        // what a server does with the call of a client that is gone: it forgets it
        let _ = tokio::time::timeout(Duration::from_millis(number * 8), world.app.clone().oneshot(request)).await;
        let (begun, expected) = (Instant::now(), format!("v{number}"));
        loop {
            let (visited, stored) = (world.visit(&host).await.1, stored(&world, &workers.token, &path).await);
            if visited == expected && stored == expected {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "visitors get {visited}, {stored} is deployed, and {expected} was begun");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn code(number: u64) -> String {
    format!("export default {{ fetch() {{ return new Response('v{number}') }} }}")
}

/// What the code of the deployed version says.
async fn stored(world: &World, token: &str, path: &str) -> String {
    let request = Request::get(format!("/client/v4{path}/content/v2")).header("authorization", format!("Bearer {token}"));
    let response = world.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    text.split('\'').nth(1).unwrap_or_else(|| panic!("no code: {text}")).to_owned()
}
