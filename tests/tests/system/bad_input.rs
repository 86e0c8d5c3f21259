//! Bad input: a clear error with a stable code, and nothing lost, bought or left behind.

use std::time::Duration;

use purser_crypto::jose::{Algorithm, SigningKey};
use purser_tests::agent::Proof;
use purser_tests::browser::client;
use purser_tests::{Agent, Ask, Choice, World, store};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_error_and_loses_nothing() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("clumsy"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "clumsy"]).await;

    wrong_words(&agent).await;
    wrong_names(&agent).await;
    wrong_bodies(&agent).await;
    nothing_happened(&world, &agent).await;
    unsigned_and_stale_requests(&world, &agent).await;
    nothing_happened(&world, &agent).await;
    a_repetition_has_one_effect(&world, &agent).await;
    codes_wear_out(&world).await;
}

async fn wrong_words(agent: &Agent) {
    for (arguments, exit, code) in [
        (vec!["add", "slipway"], 2, "INVALID_ARGUMENT"),
        (vec!["add", "slipway/nonsense"], 5, "service_unknown"),
        (vec!["add", "nobody/workers"], 5, "provider_unknown"),
        (vec!["add", "slipway/workers"], 6, "plan_required"),
        (vec!["add", "slipway/registrar:domain", "--config", "{"], 2, "INVALID_ARGUMENT"),
        (vec!["add", "slipway/registrar:domain", "--config", "[]"], 2, "INVALID_ARGUMENT"),
        (vec!["add", "slipway/workers:paid", "--name", "../x"], 2, "INVALID_ARGUMENT"),
        (vec!["deploy", "."], 2, "DEPLOY_EMPTY"),
        (vec!["remove", "nothing", "--yes"], 5, "RESOURCE_NOT_FOUND"),
        (vec!["trace", "https://nowhere.test"], 5, "not_found"),
        (vec!["spend", "--month", "soon"], 2, "invalid_request"),
    ] {
        let envelope = agent.run(&arguments).await;
        assert_eq!((envelope.exit, envelope.code()), (exit, code), "{arguments:?}: {}", envelope.stdout);
        let error = &envelope.json["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{arguments:?}: {error}");
    }
}

async fn wrong_names(agent: &Agent) {
    for (domain, exit, code) in [
        ("taken.test", 6, "domain_taken"),
        ("premium.test", 2, "domain_premium"),
        ("example.com", 2, "domain_suffix_unsupported"),
        ("-bad-.test", 2, "configuration_invalid"),
        ("a b.test", 2, "configuration_invalid"),
        ("clumsy", 2, "configuration_invalid"),
    ] {
        let config = json!({ "domain": domain }).to_string();
        let envelope = agent.run(&["add", "slipway/registrar:domain", "--config", &config]).await;
        assert_eq!((envelope.exit, envelope.code()), (exit, code), "{domain}: {}", envelope.stdout);
        assert!(envelope.json["error"]["hint"].is_string(), "{domain}: {}", envelope.stdout);
    }
    for config in ["{}", r#"{"domain":7}"#, r#"{"domain":"fine.test","years":10}"#] {
        assert_eq!(agent.refused(&["add", "slipway/registrar:domain", "--config", config]).await, "configuration_invalid", "{config}");
    }
}

async fn wrong_bodies(agent: &Agent) {
    let good = json!({"project": "clumsy", "environment": "development", "service": "slipway/workers:paid", "configuration": {}});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for body in [
        json!(null),
        json!([]),
        json!({}),
        with("project", json!("../../etc")),
        with("project", json!("a\u{0}b")),
        with("service", json!("slipway/workers:paid\r\nx: y")),
        with("environment", json!("")),
        with("configuration", json!("text")),
        with("unknown", json!(1)),
        with("name", json!("x".repeat(10_000))),
    ] {
        let (status, answer) = agent.call("POST", "/v1/resources", Some(&body), None).await;
        assert!((400..500).contains(&status) && answer["code"].is_string(), "{body}: {status} {answer}");
    }
    let (status, answer) = agent.call("POST", "/v1/resources", Some(&with("project", json!("elsewhere"))), None).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("not_granted")), "{answer}");
    let (status, answer) = agent.call("POST", "/v1/resources", Some(&good), Some("with space")).await;
    assert_eq!(status, 400, "{answer}");
    let huge = with("configuration", json!({"domain": "x".repeat(8 << 20)}));
    let (status, answer) = agent.call("POST", "/v1/resources", Some(&huge), None).await;
    assert_eq!(status, 413, "{answer}");
}

async fn nothing_happened(world: &World, agent: &Agent) {
    let status = agent.must(&["status"]).await;
    assert_eq!(status["resources"], json!([]), "{status}");
    let spend = &status["spend"]["providers"][0];
    assert_eq!((&spend["captured"]["amount_minor"], &spend["held"]["amount_minor"]), (&json!(0), &json!(0)), "{spend}");
    let dir = &world.system.dir;
    let left = "select count(*) as n from cloud_resource where state in ('pending', 'complete')";
    assert_eq!(store::number(dir, "slipway.db", left).await, 0);
    assert_eq!(store::number(dir, "slipway.db", "select count(*) as n from domain where state <> 'refused'").await, 0);
    assert_eq!(store::ledger_faults(dir).await, Vec::<String>::new());
}

async fn unsigned_and_stale_requests(world: &World, agent: &Agent) {
    let own = agent.proof();
    let other = SigningKey::generate(Algorithm::EdDsa).unwrap();
    for (what, proof) in [
        ("another key", Proof { key: other, ..own.clone() }),
        ("a stale proof", Proof { skew_s: -120, ..own.clone() }),
        ("a proof from the future", Proof { skew_s: 120, ..own.clone() }),
    ] {
        let (status, answer) = agent.call_with(&proof, "GET", "/v1/whoami", None, None).await;
        assert_eq!((status, answer["code"].as_str()), (401, Some("invalid_dpop_proof")), "{what}: {answer}");
    }
    let once = Proof { jti: Some("only-once".to_owned()), ..own };
    assert_eq!(agent.call_with(&once, "GET", "/v1/whoami", None, None).await.0, 200);
    assert_eq!(agent.call_with(&once, "GET", "/v1/whoami", None, None).await.0, 401, "a proof worked twice");

    let whoami = format!("{}/v1/whoami", agent.url);
    for value in
        [None, Some(format!("Bearer {}", agent.access_token())), Some(format!("DPoP {}", agent.access_token())), Some("DPoP x".to_owned())]
    {
        let mut request = client().get(&whoami);
        if let Some(value) = value {
            request = request.header("authorization", value);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), 401);
    }
    for path in ["/v2/provisioning/charges", "/v2/provisioning/events"] {
        let sent = client().post(format!("{}{path}", agent.url)).json(&json!({})).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 401, "an unsigned {path}");
    }
    for path in ["provisioning/services", "provisioning/resources/x"] {
        let sent = client().get(format!("{}{path}", world.system.run.cloud.provisioning)).send().await.unwrap();
        assert!(matches!(sent.status().as_u16(), 400 | 401 | 403), "an unsigned {path}: {}", sent.status());
    }
}

async fn a_repetition_has_one_effect(world: &World, agent: &Agent) {
    let body = json!({"project": "clumsy", "environment": "development", "service": "slipway/workers:paid", "configuration": {}});
    let (status, first) = agent.call("POST", "/v1/resources", Some(&body), Some("once")).await;
    assert_eq!((status, &first["state"]), (200, &json!("done")), "{first}");
    let (mut again, mut repeats) = (Vec::new(), tokio::task::JoinSet::new());
    for _ in 0..10 {
        let (agent, body) = (agent.clone(), body.clone());
        repeats.spawn(async move { agent.call("POST", "/v1/resources", Some(&body), Some("once")).await.1 });
    }
    while let Some(answer) = repeats.join_next().await {
        again.push(answer.unwrap());
    }
    assert!(again.iter().all(|answer| *answer == first), "{first} and then {again:?}");
    let mut other = body.clone();
    other["name"] = json!("another");
    let (status, answer) = agent.call("POST", "/v1/resources", Some(&other), Some("once")).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("idempotency_key_reused")), "{answer}");
    assert_eq!(store::number(&world.system.dir, "purser.db", "select count(*) as n from spend_charge").await, 1);

    // the key is bound to its sender: somebody else's is another
    let (mut bob, neighbour) = (world.person("bob"), Agent::new(&world.system, &world.path("neighbour"), "clumsy"));
    neighbour.login(&mut bob, Ask::ALL, &Choice::USUAL).await;
    neighbour.must(&["init", "clumsy"]).await;
    let (status, answer) = neighbour.call("POST", "/v1/resources", Some(&body), Some("once")).await;
    assert_eq!((status, &answer["state"]), (200, &json!("done")), "{answer}");
    assert_ne!(answer["resource"]["id"], first["resource"]["id"]);
}

/// A code of yesterday, and the right code after five wrong ones.
async fn codes_wear_out(world: &World) {
    for spoil in ["expire", "guess"] {
        let mut carol = world.person(&format!("carol-{spoil}"));
        let page = carol.browser.open("/sign-in").await;
        let mut form = page.form("/sign-in");
        form.type_in("email", &carol.email);
        let mut page = carol.browser.press(&form, "").await;
        let code = carol.code(0).await;
        if spoil == "expire" {
            let spoilt = store::tamper(&world.system.dir, "update sign_in_code set expires_at = created_at where used_at is null").await;
            assert!(spoilt > 0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            let wrong = if code == "000000" { "111111" } else { "000000" };
            for _ in 0..5 {
                let mut form = page.form("/sign-in/code");
                form.type_in("code", wrong);
                let told = carol.browser.press(&form, "").await;
                assert!(told.status >= 400, "{}", told.text());
                if told.body.contains("/sign-in/code") {
                    page = told;
                }
            }
        }
        let mut form = page.form("/sign-in/code");
        form.type_in("code", &code);
        let told = carol.browser.press(&form, "").await;
        assert!(told.status >= 400, "{spoil}: {}", told.text());
        assert!(carol.browser.open("/agents").await.path.starts_with("/sign-in"), "{spoil}: a worn code signed in");
    }
}
