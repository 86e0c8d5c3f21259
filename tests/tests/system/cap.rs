//! What an agent may never do, and money that is never spent twice or past a cap.

use std::collections::BTreeMap;

use purser_tests::{Agent, Ask, Choice, Person, World, store};
use serde_json::{Value, json};

/// Every page and form of the console with what somebody without a session is answered, as a test of its router writes them down.
const PAGES: &str = include_str!("../../../orchestrator/server/tests/golden/who-sees.txt");

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_widen_what_it_may_do_by_any_flag_or_route() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("bounds"));
    agent.login(&mut ada, Ask { irreversible: false, export: false }, &Choice { card: None, cap: Some("12.34".to_owned()) }).await;
    agent.must(&["init", "bounds"]).await;
    let before = authority(&world).await;

    for (arguments, code) in [
        (vec!["billing", "update", "--limit", "100000"], "BROWSER_AUTH_REQUIRED"),
        (vec!["billing", "update", "--provider", "slipway", "--limit", "100000"], "BROWSER_AUTH_REQUIRED"),
        (vec!["billing", "add"], "BROWSER_AUTH_REQUIRED"),
        (vec!["--accept-tos", "add", "slipway/workers:paid"], "TOS_ACCEPTANCE_REQUIRED"),
        (vec!["add", "slipway/registrar:domain", "--config", r#"{"domain":"bounds.test"}"#], "irreversible_not_granted"),
        (vec!["env", "--pull"], "export_not_granted"),
        (vec!["run", "--", "true"], "export_not_granted"),
        (vec!["agent", "list"], "BROWSER_AUTH_REQUIRED"),
        (vec!["agent", "freeze", &agent.id()], "BROWSER_AUTH_REQUIRED"),
    ] {
        let envelope = agent.run(&arguments).await;
        assert_eq!((envelope.exit, envelope.code()), (8, code), "{arguments:?}: {}", envelope.stdout);
        let words = envelope.json["error"].to_string();
        assert!(words.contains("person"), "nobody is named who can: {words}");
    }
    let (status, answer) = agent.call("POST", "/v1/projects", Some(&json!({"name": "elsewhere"})), None).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("not_granted")), "{answer}");
    for (path, body) in [
        ("/v1/caps", json!({"provider": "slipway", "amount_minor": 10_000_000, "currency": "USD"})),
        ("/v1/payment_methods", json!({})),
        ("/v1/terms_acceptances", json!({})),
    ] {
        let (status, answer) = agent.call("POST", path, Some(&body), None).await;
        assert_eq!((status, answer["code"].as_str()), (403, Some("agent_not_allowed")), "{path}: {answer}");
    }
    let (status, answer) = agent.call("POST", &format!("/v1/agents/{}/freeze", agent.id()), Some(&json!({})), None).await;
    assert!((400..500).contains(&status), "{answer}");
    the_pages_know_no_agent(&world, &agent).await;

    assert_eq!(authority(&world).await, before, "an agent changed what it may do");
    let log = store::texts(&world.system.dir, "purser.db", "select body as x from audit_event").await.join("\n");
    let refused: Vec<String> = log
        .lines()
        .map(|entry| serde_json::from_str::<Value>(entry).unwrap())
        .filter(|entry| entry["outcome"].get("refused").is_some())
        .map(|entry| entry["verb"].as_str().unwrap().to_owned())
        .collect();
    let count = |verb: &str| refused.iter().filter(|found| *found == verb).count();
    for (verb, least) in
        [("cap_set", 3), ("payment_method_set", 2), ("terms_accept", 2), ("resource_add", 1), ("credential_export", 2), ("agent_freeze", 1)]
    {
        assert!(count(verb) >= least, "`{verb}` was not recorded {least} times: {refused:?}");
    }
}

/// Caps, cards, grants and acceptances, as the database has them.
async fn authority(world: &World) -> Vec<Vec<String>> {
    let dir = &world.system.dir;
    vec![
        store::texts(dir, "purser.db", "select agent || provider || amount as x from spend_cap order by 1").await,
        store::texts(dir, "purser.db", "select id || state as x from payment_method order by 1").await,
        store::texts(dir, "purser.db", "select id || coalesce(revoked_at, 0) as x from agent_grant order by 1").await,
        store::texts(dir, "purser.db", "select sha256 || person as x from terms_acceptance order by 1").await,
    ]
}

/// With the agent's token instead of a person's session, and with nothing, every page leads to the sign-in or refuses.
async fn the_pages_know_no_agent(world: &World, agent: &Agent) {
    let session = agent.session();
    let method = store::texts(&world.system.dir, "purser.db", "select id as x from payment_method").await.remove(0);
    let values: BTreeMap<&str, &str> = BTreeMap::from([
        ("{agent}", session["agent_id"].as_str().unwrap()),
        ("{grant}", session["grant_id"].as_str().unwrap()),
        ("{method}", &method),
    ]);
    let form = format!("agent={}&provider=&amount=999.00&card=4242&csrf=x&decision=accept", values["{agent}"]);
    let mut looked = 0;
    for row in PAGES.lines().skip(1) {
        let [verb, path, anonymous] = row.split_whitespace().take(3).collect::<Vec<_>>().try_into().unwrap();
        let id = if path.starts_with("/agents") {
            "{agent}"
        } else if path.starts_with("/grants") {
            "{grant}"
        } else {
            "{method}"
        };
        let path = path.replace("{id}", id);
        let path = values.iter().fold(path, |path, (name, value)| path.replace(name, value));
        looked += 1;
        let url = format!("{}{path}", world.system.run.orchestrator.url);
        for authorization in [None, Some(format!("DPoP {}", agent.access_token())), Some(format!("Bearer {}", agent.access_token()))] {
            let client = purser_tests::browser::client();
            let mut request = if verb == "GET" {
                client.get(&url)
            } else {
                client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(form.clone())
            };
            if let Some(value) = &authorization {
                request = request.header("authorization", value).header("cookie", format!("purser-session={}", agent.access_token()));
            }
            let answer = request.send().await.unwrap();
            let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
            let status = answer.status().as_u16();
            let refused = (400..500).contains(&status) || ((300..400).contains(&status) && to.contains("/sign-in"));
            assert!(refused || anonymous == "200", "{verb} {path} with {authorization:?}: {status} {to}");
        }
    }
    assert!(looked >= 85, "only {looked} pages were looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_past_the_cap_is_refused_before_anything_is_bought_and_a_declined_card_leaves_nothing() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("frugal"));
    agent.login(&mut ada, Ask::ALL, &Choice { card: Some("0002"), cap: None }).await;
    agent.must(&["init", "frugal"]).await;

    let envelope = agent.run(&["add", "slipway/workers:paid"]).await;
    assert_eq!((envelope.exit, envelope.code()), (7, "payment_declined"), "{}", envelope.stdout);
    nothing_is_left(&world, &agent).await;
    assert_eq!(agent.refused(&["add", "slipway/workers"]).await, "plan_required");
    assert_eq!(ada.put_card("4242").await.status, 200);

    let page = ada.set_cap(&agent.id(), "", "6.00").await;
    assert!(page.text().contains("6.00"), "{}", page.text());
    agent.must(&["add", "slipway/workers:paid"]).await;
    let domain = ["add", "slipway/registrar:domain", "--config", r#"{"domain":"frugal.test"}"#];
    let looked = agent.run(&[&domain[..], &["--preflight"]].concat()).await;
    assert_eq!((looked.exit, looked.code()), (8, "cap_reached"), "a preflight looks at money too: {}", looked.stdout);
    let envelope = agent.run(&domain).await;
    assert_eq!((envelope.exit, envelope.code()), (7, "cap_reached"), "{}", envelope.stdout);
    let error = envelope.json["error"].to_string();
    assert!(error.contains("1.00") && error.contains("/limits") && error.contains("owner"), "what is left, and who can change it: {error}");
    assert_eq!(store::number(&world.system.dir, "slipway.db", "select count(*) as n from domain").await, 0, "a domain was registered");
    assert_eq!(captured(&agent).await, 500);

    ada.set_cap(&agent.id(), "", "20.00").await;
    agent.must(&domain).await;
    let again = agent.run(&["add", "slipway/workers:paid", "--preflight"]).await;
    assert_eq!(again.exit, 0, "{}", again.stdout);
    assert!(again.json["warnings"][0].as_str().unwrap_or_default().contains("has this plan already"), "{}", again.stdout);
    assert_eq!(captured(&agent).await, 1415);
    assert_eq!(store::ledger_faults(&world.system.dir).await, Vec::<String>::new());
}

async fn captured(agent: &Agent) -> i64 {
    position(agent, "captured").await
}

async fn position(agent: &Agent, what: &str) -> i64 {
    agent.must(&["spend"]).await["providers"][0][what]["amount_minor"].as_i64().unwrap()
}

async fn nothing_is_left(world: &World, agent: &Agent) {
    let status = agent.must(&["status"]).await;
    assert_eq!(status["resources"], json!([]), "{status}");
    assert_eq!((position(agent, "captured").await, position(agent, "held").await), (0, 0));
    let dir = &world.system.dir;
    let live = store::number(dir, "slipway.db", "select count(*) as n from cloud_resource where state in ('pending', 'complete')").await;
    let plans = store::number(dir, "slipway.db", "select count(*) as n from cloud_subscription where state = 'active'").await;
    assert_eq!((live, plans), (0, 0), "something is left at the provider");
    assert_eq!(store::ledger_faults(dir).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_purchases_at_once_against_room_for_seven_buy_exactly_seven() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("crowd"));
    agent.login(&mut ada, Ask::ALL, &Choice { card: None, cap: Some("69.05".to_owned()) }).await;
    agent.must(&["init", "crowd"]).await;
    agent.must(&["add", "slipway/workers:paid"]).await;

    let mut purchases = tokio::task::JoinSet::new();
    for n in 0..200 {
        let agent = agent.clone();
        purchases.spawn(async move { buy(&agent, n).await });
    }
    let (mut bought, mut refused) = (0, BTreeMap::<String, usize>::new());
    while let Some(ended) = purchases.join_next().await {
        match ended.unwrap() {
            Ok(()) => bought += 1,
            Err(code) => *refused.entry(code).or_default() += 1,
        }
    }
    assert_eq!((bought, refused), (7, BTreeMap::from([("cap_reached".to_owned(), 193)])));
    assert_eq!((position(&agent, "captured").await, position(&agent, "held").await, position(&agent, "left").await), (6905, 0, 0));
    let dir = &world.system.dir;
    assert_eq!(store::number(dir, "slipway.db", "select count(*) as n from domain").await, 7, "domains at the registrar");
    assert_eq!(store::number(dir, "purser.db", "select count(*) as n from spend_charge where state = 'succeeded'").await, 8);
    assert_eq!(store::number(dir, "purser.db", "select count(*) as n from resource where state = 'creating'").await, 0);
    assert_eq!(store::ledger_faults(dir).await, Vec::<String>::new());
    a_person_sees_the_alert(&ada);
}

/// Buys a domain, following the work to its end as the command does.
async fn buy(agent: &Agent, n: usize) -> Result<(), String> {
    let body = json!({"project": agent.project, "environment": "development", "service": "slipway/registrar:domain",
        "name": format!("domain-{n}"), "configuration": {"domain": format!("crowd-{n}.test")}});
    let (status, mut answer) = agent.call("POST", "/v1/resources", Some(&body), Some(&format!("crowd-{n}"))).await;
    while status == 200 && answer["state"] == "running" {
        let saga = answer["saga"].as_str().unwrap().to_owned();
        answer = agent.call("GET", &format!("/v1/sagas/{saga}?wait=20"), None, None).await.1;
    }
    if answer["state"] == "done" {
        return Ok(());
    }
    let code = |value: &Value| value["code"].as_str().map(str::to_owned);
    Err(code(&answer["error"]).or_else(|| code(&answer)).unwrap_or_else(|| answer.to_string()))
}

fn a_person_sees_the_alert(ada: &Person) {
    let mails = ada.mails().concat();
    assert!(mails.contains("80 %") && mails.contains("100 %"), "no mail says that the cap is reached: {mails}");
}
