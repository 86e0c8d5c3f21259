//! The Cloudflare-compatible API, call by call, as wrangler sends it.

use crate::support::{DATE, ESM, Workers, World, multipart};
use base64::Engine as _;
use http::{Method, StatusCode};
use purser_wire::resource::AgentRef;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn answering(text: &str) -> String {
    format!("export default {{ fetch() {{ return new Response('{text}') }} }}")
}

async fn customer(world: &World, name: &str) -> Workers {
    let customer = world.customer(name).await;
    world.workers(&customer, &format!("agt_{name}")).await
}

/// The result of a call that must succeed.
async fn good(world: &World, workers: &Workers, method: Method, path: &str, body: Option<Value>) -> Value {
    let path = path.replace("{A}", &format!("/accounts/{}", workers.account));
    let (status, body) = world.api(&workers.token, method, &path, body).await;
    assert_eq!((status, &body["success"]), (StatusCode::OK, &json!(true)), "{path}: {body}");
    body["result"].clone()
}

/// Status and code of a call that must be refused.
async fn refused(world: &World, workers: &Workers, method: Method, path: &str, body: Option<Value>) -> (u16, u64) {
    let path = path.replace("{A}", &format!("/accounts/{}", workers.account));
    let (status, body) = world.api(&workers.token, method, &path, body).await;
    assert_eq!(body["success"], false, "{path}: {body}");
    (status.as_u16(), body["errors"][0]["code"].as_u64().unwrap())
}

#[tokio::test]
async fn a_deployment_a_redeployment_and_a_rollback_are_visible_at_once() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    // What wrangler asks before the first deployment.
    assert_eq!(refused(&world, &w, Method::GET, "{A}/workers/services/hello", None).await, (404, 10_007));
    assert_eq!(refused(&world, &w, Method::GET, "{A}/workers/scripts/hello/deployments", None).await, (404, 10_007));
    let label = good(&world, &w, Method::GET, "{A}/workers/subdomain", None).await;
    assert!(label["subdomain"].as_str().is_some_and(|s| !s.is_empty()));

    let (status, first) = world.upload(&w, "hello", &answering("one")).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(first["result"]["deployment_id"].as_str().unwrap().len(), 32);
    good(&world, &w, Method::POST, "{A}/workers/scripts/hello/subdomain", Some(json!({"enabled": true}))).await;
    let worker = good(&world, &w, Method::GET, "{A}/workers/workers/hello", None).await;
    assert_eq!(worker["subdomain"]["enabled"], true);
    let host = worker["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();
    assert_eq!(world.visit(&host).await, (200, "one".to_owned()));

    // A redeployment: a version routes nothing, the deployment does.
    let service = good(&world, &w, Method::GET, "{A}/workers/services/hello", None).await;
    assert_eq!(service["default_environment"]["script"]["last_deployed_from"], "wrangler");
    let metadata = json!({"main_module": "index.js", "compatibility_date": DATE, "keep_bindings": ["secret_text"], "annotations": {"workers/message": "two"}});
    let code = answering("two");
    let (kind, form) = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
    let path = format!("/accounts/{}/workers/scripts/hello/versions?bindings_inherit=strict", w.account);
    let (status, version) = world.api_raw(&w.token, Method::POST, &path, &kind, form).await;
    assert_eq!(status, StatusCode::OK, "{version}");
    assert!(version["result"]["resources"]["script"].is_object(), "wrangler stops without `resources.script`");
    assert_eq!(world.visit(&host).await.1, "one", "a version took traffic");
    let two = version["result"]["id"].clone();
    let deploy = |id: &Value| json!({"strategy": "percentage", "versions": [{"version_id": id, "percentage": 100}], "annotations": {}});
    good(&world, &w, Method::POST, "{A}/workers/scripts/hello/deployments", Some(deploy(&two))).await;
    assert_eq!(world.visit(&host).await.1, "two");
    good(
        &world,
        &w,
        Method::PATCH,
        "{A}/workers/scripts/hello/script-settings",
        Some(json!({"observability": {"enabled": false}, "tags": []})),
    )
    .await;

    let all = good(&world, &w, Method::GET, "{A}/workers/scripts/hello/versions?deployable=true", None).await;
    let one = all["items"].as_array().unwrap().last().unwrap()["id"].clone();
    good(&world, &w, Method::POST, "{A}/workers/scripts/hello/deployments", Some(deploy(&one))).await;
    assert_eq!(world.visit(&host).await.1, "one");
    let listed = good(&world, &w, Method::GET, "{A}/workers/scripts/hello/deployments", None).await;
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 3);
    assert_eq!(listed["deployments"][0]["versions"][0]["version_id"], one);

    let part = |id: &Value, percentage: f64| json!({"version_id": id, "percentage": percentage});
    let split = |a: f64, b: f64| json!({"versions": [part(&one, a), part(&two, b)]});
    assert_eq!(refused(&world, &w, Method::POST, "{A}/workers/scripts/hello/deployments", Some(split(50.0, 49.0))).await.0, 400);
    let made = good(&world, &w, Method::POST, "{A}/workers/scripts/hello/deployments", Some(split(25.0, 75.0))).await;
    assert_eq!(made["versions"], json!([part(&two, 75.0), part(&one, 25.0)]));
    let mut ones = 0;
    for _ in 0..40 {
        ones += usize::from(world.visit(&host).await.1 == "one");
    }
    assert!((8..=12).contains(&ones), "a quarter of 40 requests is not {ones}");
    good(&world, &w, Method::DELETE, "{A}/workers/services/hello?force=false", None).await;
    assert_eq!(world.visit(&host).await.0, 404);
}

#[tokio::test]
async fn a_secret_reaches_the_code_survives_a_redeployment_and_never_comes_out() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    let reading = "export default { fetch(r, env) { return new Response(env.KEY ?? 'none') } }";
    world.upload(&w, "s", reading).await;
    good(&world, &w, Method::POST, "{A}/workers/scripts/s/subdomain", Some(json!({"enabled": true}))).await;
    let worker = good(&world, &w, Method::GET, "{A}/workers/workers/s", None).await;
    let host = worker["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();
    let secret = json!({"name": "KEY", "text": "hunter2", "type": "secret_text"});
    good(&world, &w, Method::PUT, "{A}/workers/scripts/s/secrets", Some(secret)).await;
    assert_eq!(world.visit(&host).await.1, "hunter2");

    // Without `keep_bindings`, as the older wrangler sends it.
    let metadata = json!({"main_module": "index.js", "compatibility_date": DATE});
    let code = format!("{reading} // again");
    let (kind, form) = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
    let path = format!("/accounts/{}/workers/scripts/s", w.account);
    assert_eq!(world.api_raw(&w.token, Method::PUT, &path, &kind, form).await.0, StatusCode::OK);
    assert_eq!(world.visit(&host).await.1, "hunter2", "a redeployment lost the secret");
    let settings = good(&world, &w, Method::GET, "{A}/workers/scripts/s/settings", None).await;
    assert!(!settings.to_string().contains("hunter2"));
    assert_eq!(good(&world, &w, Method::GET, "{A}/workers/scripts/s/secrets", None).await, json!([{"name": "KEY", "type": "secret_text"}]));
    good(&world, &w, Method::PATCH, "{A}/workers/scripts/s/secrets-bulk", Some(json!({"secrets": {"KEY": null}}))).await;
    assert_eq!(world.visit(&host).await.1, "none");
}

#[tokio::test]
async fn static_files_are_uploaded_in_a_session_of_their_own() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    let (page, hash) = ("<h1>hello</h1>", "0123456789abcdef0123456789abcdef");
    let manifest = json!({"manifest": {"/index.html": {"hash": hash, "size": page.len()}}});
    let session = good(&world, &w, Method::POST, "{A}/workers/scripts/site/assets-upload-session", Some(manifest.clone())).await;
    assert_eq!(session["buckets"], json!([[hash]]));
    let encoded = base64::engine::general_purpose::STANDARD.encode(page);
    let (kind, form) = multipart(&[(hash, Some("text/html"), encoded.as_bytes())]);
    let upload = format!("/accounts/{}/workers/assets/upload?base64=true", w.account);
    let (status, _) = world.api_raw(&w.token, Method::POST, &upload, &kind, form.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the API token was taken for a session");
    let (status, done) = world.api_raw(session["jwt"].as_str().unwrap(), Method::POST, &upload, &kind, form).await;
    assert_eq!(status, StatusCode::OK, "{done}");

    let metadata = json!({"compatibility_date": DATE, "assets": {"jwt": done["result"]["jwt"], "config": {}}});
    let (kind, form) = multipart(&[("metadata", None, metadata.to_string().as_bytes())]);
    let path = format!("/accounts/{}/workers/scripts/site", w.account);
    let (status, body) = world.api_raw(&w.token, Method::PUT, &path, &kind, form).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    good(&world, &w, Method::POST, "{A}/workers/scripts/site/subdomain", Some(json!({"enabled": true}))).await;
    let worker = good(&world, &w, Method::GET, "{A}/workers/workers/site", None).await;
    let host = worker["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();
    assert_eq!(world.visit(&host).await, (200, page.to_owned()));
    let again = good(&world, &w, Method::POST, "{A}/workers/scripts/site/assets-upload-session", Some(manifest)).await;
    assert_eq!(again["buckets"], json!([]), "what is there was asked for again");
}

#[tokio::test]
async fn a_domain_is_connected_only_by_the_account_that_holds_it() {
    let Some(world) = World::start().await else { return };
    let ada = world.customer("ada").await;
    let w = world.workers(&ada, "agt_ada").await;
    let eve = customer(&world, "eve").await;
    world.domain(&ada, "ada-site.test", "agt_ada").await;
    for owner in [&w, &eve] {
        world.upload(owner, "site", &answering("hers")).await;
    }
    let zones = good(&world, &w, Method::GET, &format!("/zones?name=ada-site.test&account.id={}", w.account), None).await;
    assert_eq!(zones[0]["name"], "ada-site.test");
    assert_eq!(good(&world, &eve, Method::GET, "/zones?name=ada-site.test", None).await, json!([]));

    let hosts = json!([{"hostname": "www.ada-site.test"}]);
    let set = good(&world, &w, Method::POST, "{A}/workers/scripts/site/domains/changeset?replace_state=true", Some(hosts.clone())).await;
    assert_eq!(set["added"], json!([{"hostname": "www.ada-site.test"}]));
    let origins = json!({"override_scope": true, "origins": hosts});
    assert_eq!(refused(&world, &eve, Method::PUT, "{A}/workers/scripts/site/domains/records", Some(origins.clone())).await.0, 400);
    good(&world, &w, Method::PUT, "{A}/workers/scripts/site/domains/records", Some(origins.clone())).await;
    good(&world, &w, Method::PUT, "{A}/workers/scripts/site/domains/records", Some(origins)).await;
    assert_eq!(world.visit("www.ada-site.test").await, (200, "hers".to_owned()));

    let connected = good(&world, &w, Method::GET, "{A}/workers/domains", None).await;
    let id = connected[0]["id"].as_str().unwrap();
    assert_eq!(refused(&world, &eve, Method::DELETE, &format!("{{A}}/workers/domains/{id}"), None).await, (404, 100_114));
    good(&world, &w, Method::DELETE, &format!("{{A}}/workers/domains/{id}"), None).await;
    assert_eq!(world.visit("www.ada-site.test").await.0, 404);
}

#[tokio::test]
async fn a_token_reaches_its_own_account_and_nothing_else() {
    let Some(world) = World::start().await else { return };
    let (ada, eve) = (customer(&world, "ada").await, customer(&world, "eve").await);
    world.upload(&ada, "hers", &answering("x")).await;
    let account = &ada.account;
    for path in [
        "workers/scripts/hers/secrets",
        "workers/services/hers",
        "workers/subdomain",
        "workers/domains",
        "workers/scripts",
        "workers/tails/by-consumer/hers",
        "workers/durable_objects/namespaces",
        "workers/scripts/hers/references",
        "workers/scripts/hers/schedules",
        "storage/kv/namespaces",
        "subscriptions",
        "billable/usage",
        "tokens",
        "members",
        "roles",
    ] {
        let path = format!("/accounts/{account}/{path}");
        assert_eq!(refused(&world, &eve, Method::GET, &path, None).await, (403, 10_000), "{path}");
    }
    assert_eq!(refused(&world, &eve, Method::GET, &format!("/accounts/{account}"), None).await, (403, 10_000));
    let path = format!("/accounts/{account}/billing/profile");
    assert_eq!(refused(&world, &ada, Method::GET, &path, None).await, (404, 7_003));
    let nobody = Workers { token: "slp_nothing".to_owned(), ..ada };
    assert_eq!(refused(&world, &nobody, Method::GET, "/accounts", None).await, (401, 10_000));
    assert_eq!(refused(&world, &nobody, Method::GET, "/user/tokens/verify", None).await, (401, 1_000));
}

#[tokio::test]
async fn an_upload_that_began_before_a_freeze_is_refused_at_its_end() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("ada").await;
    let w = world.workers(&customer, "agt_ada").await;
    let metadata = json!({"main_module": "index.js", "compatibility_date": DATE});
    let code = answering("late");
    let (kind, form) = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
    let head = format!(
        "PUT /client/v4/accounts/{}/workers/scripts/late HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        w.account,
        w.token,
        form.len()
    );
    let (first, rest) = form.split_at(form.len() - 10);
    let mut stream = TcpStream::connect(world.config.listen_api).await.unwrap();
    stream.write_all(&[head.as_bytes(), first].concat()).await.unwrap();
    stream.flush().await.unwrap();
    // The server has looked at the token once it has read this much; a call that it answers now comes after that.
    good(&world, &w, Method::GET, "/accounts", None).await;
    world
        .client
        .credentials_disable(&customer.access, &AgentRef { id: "agt_ada".parse().unwrap(), jkt: None, grant: None }, None)
        .await
        .unwrap();
    stream.write_all(rest).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn bad_code_is_refused_and_what_runs_goes_on() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    world.upload(&w, "s", &answering("good")).await;
    let (status, body) = world.upload(&w, "s", "export default {").await;
    assert_eq!((status, body["errors"][0]["code"].as_u64()), (StatusCode::BAD_REQUEST, Some(10_021)), "{body}");
    let (status, _) = world.upload(&w, "Bad%20Name", "x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let path = format!("/accounts/{}/workers/scripts/s", w.account);
    let huge = vec![b' '; purser_values::limits::UPLOAD_BODY_BYTES + 1];
    let (status, _) = world.api_raw(&w.token, Method::PUT, &path, "multipart/form-data; boundary=x", huge).await;
    assert!(status.is_client_error(), "{status}");
    let (status, body) = world.api_raw(&w.token, Method::PUT, &path, "application/json", b"{}".to_vec()).await;
    assert_eq!((status, &body["success"]), (StatusCode::BAD_REQUEST, &json!(false)));
    assert_eq!(refused(&world, &w, Method::PATCH, "{A}/workers/scripts/s/script-settings", Some(json!([1]))).await.0, 400);
    let versions = good(&world, &w, Method::GET, "{A}/workers/scripts/s/versions", None).await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "a refused upload left a version");
}

#[tokio::test]
async fn past_the_end_lists_are_empty() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    for path in ["/accounts", "/memberships", "/zones", "{A}/workers/scripts", "{A}/workers/domains", "{A}/storage/kv/namespaces"] {
        assert_eq!(good(&world, &w, Method::GET, &format!("{path}?page=2"), None).await, json!([]), "{path}");
    }
    assert_eq!(good(&world, &w, Method::GET, "/accounts?page=1", None).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_address_gets_a_page_in_a_browser_and_a_document_in_a_program() {
    let Some(world) = World::start().await else { return };
    let ask = async |method: Method, path: &str, accept: &str| {
        let request = http::Request::builder().method(method).uri(path).header("accept", accept).body(axum::body::Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(world.app.clone(), request).await.unwrap();
        let (status, kind) = (answer.status(), answer.headers()["content-type"].to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, kind, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, kind, page) = ask(Method::GET, "/nowhere/at/all", "text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert!(
        status == StatusCode::NOT_FOUND && kind.starts_with("text/html") && page.contains("there is nothing at this address"),
        "{page}"
    );
    let (status, kind, document) = ask(Method::GET, "/nowhere", "application/json").await;
    assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"), "{document}");
    let (status, kind, document) = ask(Method::DELETE, "/connections", "*/*").await;
    assert_eq!((status, kind.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "application/problem+json"), "{document}");
    let (status, kind, page) = ask(Method::GET, "/sign-out", "text/html").await;
    assert!(status == StatusCode::METHOD_NOT_ALLOWED && kind.starts_with("text/html"), "{page}");
    // the Cloudflare-compatible part keeps its own words
    let (status, _, envelope) = ask(Method::GET, "/client/v4/nowhere", "*/*").await;
    assert!(status.is_client_error() && envelope.contains("\"success\":false"), "{envelope}");
}
