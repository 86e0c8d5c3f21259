//! Ceilings and budgets through the API and the pages, what is told about them, and the messages that programs get.

use std::sync::{Arc, Mutex};

use crate::world::purchase::Sale;
use crate::world::{Agent, Browser, World};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use purser_authority::Caller;
use purser_http::fetch::Origin;
use purser_notify::webhook::{WebhookSecret, headers};
use purser_values::{Secret, Timestamp};
use serde_json::{Value, json};

/// A receiver of webhooks: keeps what comes, and answers what it is told to.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let take = |State(own): State<Self>, headers: HeaderMap, body: Bytes| async move {
            own.got.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
            StatusCode::from_u16(own.answers.lock().unwrap().pop().unwrap_or(204)).unwrap()
        };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    /// Answers of the next messages, the first first.
    fn says(&self, mut answers: Vec<u16>) {
        answers.reverse();
        *self.answers.lock().unwrap() = answers;
    }

    fn take(&self) -> Vec<(HeaderMap, String)> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |(_, body): &(HeaderMap, String)| serde_json::from_str::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned();
        let mut kinds: Vec<String> = self.got.lock().unwrap().iter().map(kind).collect();
        kinds.sort();
        kinds
    }
}

fn usd(minor: i64) -> Value {
    json!({ "amount_minor": minor, "currency": "USD" })
}

struct Scene {
    world: World,
    ada: Browser,
    agent: (Agent, String),
    caller: Caller,
    terminal: (Agent, String),
    receiver: Receiver,
    hook: String,
}

impl Scene {
    async fn new() -> Self {
        let (receiver, hook) = Receiver::start().await;
        let origin: Origin = Origin::of(&hook.parse().unwrap()).unwrap();
        let world = World::fetching(vec![origin]).await;
        let mut ada = world.person("ada@example.test").await;
        let (agent, tokens) = world.granted(&mut ada).await;
        let token = tokens["access_token"].as_str().unwrap().to_owned();
        let caller = world.call(&agent, &token).await.unwrap().caller;
        let terminal = world.terminal(&mut ada).await;
        Self { world, ada, agent: (agent, token), caller, terminal, receiver, hook }
    }

    async fn person(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.world.api(Some((&self.terminal.0, &self.terminal.1)), method, path, "application/json", body).await
    }

    async fn program(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.world.api(Some((&self.agent.0, &self.agent.1)), method, path, "application/json", body).await
    }

    /// A purchase that is charged, with everything that follows from it in the queue.
    async fn buys(&self, minor: i64) {
        self.world.bought(&self.caller, Sale { provider: "slipway", lines: &["a"], minor, description: "=1+1".to_owned() }).await;
    }

    async fn webhook(&self) -> (String, Secret<String>) {
        let (status, added) = self.person("POST", "/v1/webhooks", json!({ "url": self.hook, "description": "ours" })).await;
        assert_eq!(status, StatusCode::OK, "{added}");
        (added["webhook"]["id"].as_str().unwrap().to_owned(), Secret::new(added["secret"].as_str().unwrap().to_owned()))
    }

    async fn budget(&self, body: Value) -> Value {
        let (status, set) = self.person("PUT", "/v1/budgets", body).await;
        assert_eq!(status, StatusCode::OK, "{set}");
        set["budget"].clone()
    }
}

/// Whether the message carries a signature by this secret.
fn is_signed((headers_got, body): &(HeaderMap, String), secret: &Secret<String>) -> bool {
    let text = |name: &str| headers_got[name].to_str().unwrap().to_owned();
    let at = Timestamp::from_secs(text("webhook-timestamp").parse().unwrap());
    let [.., (_, expected)] = headers(&text("webhook-id"), at, body.as_bytes(), &[WebhookSecret::parse(secret).unwrap()]);
    text("webhook-signature").split(' ').any(|signature| signature == expected)
}

#[tokio::test]
async fn a_person_sets_ceilings_and_an_agent_gets_the_page_with_everything_filled_in() {
    let mut scene = Scene::new().await;
    let shop = json!({ "scope": "project", "subject": "shop", "period": "day", "amount_minor": 50_00 });
    let (status, refused) = scene.program("PUT", "/v1/ceilings", shop.clone()).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::FORBIDDEN, Some("agent_not_allowed")), "{refused}");
    let url = refused["details"]["url"].as_str().unwrap();
    for part in ["/limits?", "scope=project", "subject=shop", "period=day", "amount=50.00", "#ceilings"] {
        assert!(url.contains(part), "`{part}` is missing in {url}");
    }
    let page = scene.ada.get(url.strip_prefix("http://localhost:4000").unwrap().split('#').next().unwrap()).await;
    assert!(page.body.contains("value=\"50.00\"") && page.body.contains("<option value=\"project\" selected>"), "{}", page.body);
    assert_eq!(scene.person("GET", "/v1/ceilings", Value::Null).await.1["ceilings"], json!([]), "looking sets nothing");

    assert_eq!(scene.person("PUT", "/v1/ceilings", shop.clone()).await.0, StatusCode::OK);
    let agent = scene.caller.agent().unwrap().to_string();
    let other = purser_values::id::AgentId::mint(&scene.world.env).to_string();
    for (scope, subject, period) in [
        ("organisation", "", "month"),
        ("environment", "shop/production", "week"),
        ("environment", "blog/production", "week"),
        ("agent", agent.as_str(), "lifetime"),
        ("agent", other.as_str(), "lifetime"),
        ("provider", "slipway", "transaction"),
        ("category", "hosting", "month"),
    ] {
        let body = json!({ "scope": scope, "subject": subject, "period": period, "amount_minor": 1_000_00 });
        let (status, answer) = scene.person("PUT", "/v1/ceilings", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    scene.buys(7_00).await;
    let all = scene.person("GET", "/v1/ceilings", Value::Null).await.1;
    assert_eq!(all["ceilings"].as_array().unwrap().len(), 8);
    let used: Vec<i64> =
        all["ceilings"].as_array().unwrap().iter().map(|c| c["captured"]["amount_minor"].as_i64().unwrap()).filter(|m| *m > 0).collect();
    assert_eq!(used, [7_00; 5], "the one over each purchase counts nothing, nor do those over others");
    let seen = scene.program("GET", "/v1/ceilings", Value::Null).await.1.to_string();
    assert!(seen.contains(&agent) && !seen.contains(&other) && !seen.contains("blog/"), "{seen}");
    let billing = scene.program("GET", "/v1/billing", Value::Null).await;
    assert_eq!((billing.0, &billing.1["payment_method"]), (StatusCode::OK, &Value::Null), "{}", billing.1);
    assert_eq!(billing.1["caps"][0]["left"]["amount_minor"], 93_00);

    for (bad, code) in [
        (json!({ "scope": "project", "subject": "shop", "period": "day" }), "invalid_request"),
        (json!({ "scope": "project", "subject": "shop", "period": "day", "amount_minor": -1 }), "ceiling_amount"),
        (json!({ "scope": "project", "subject": "no name!", "period": "day", "amount_minor": 1 }), "ceiling_subject"),
        (json!({ "scope": "project", "subject": "shop", "period": "day", "amount_minor": 1.5 }), "invalid_body"),
        (json!({ "scope": "project", "subject": "shop", "period": "day", "amount_minor": 1, "currency": "XXX" }), "invalid_body"),
    ] {
        let (status, answer) = scene.person("PUT", "/v1/ceilings", bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {answer}");
        assert!(answer["code"] == code || code == "invalid_request", "{bad}: {answer}");
    }
    // raising and taking away want the person to be there just now; lowering does not
    scene.world.clock.advance_secs(8 * 60);
    for wider in [json!(60_00), Value::Null] {
        let mut body = shop.clone();
        body["amount_minor"] = wider;
        let (status, answer) = scene.person("PUT", "/v1/ceilings", body).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("step_up_required")), "{answer}");
        assert!(answer["details"]["url"].as_str().unwrap().ends_with("/step-up"));
    }
    let zone = scene.person("PUT", "/v1/ceilings/zone", json!({ "zone": "Europe/Berlin" })).await;
    assert_eq!(zone.1["code"], "step_up_required", "{}", zone.1);
    let mut lower = shop;
    lower["amount_minor"] = json!(40_00);
    assert_eq!(scene.person("PUT", "/v1/ceilings", lower).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_two_forms_of_the_limits_page_set_ceilings_and_the_zone_and_raising_asks_for_the_person() {
    let mut scene = Scene::new().await;
    let page = scene.ada.get("/limits").await;
    let forms = page.body.split("<form").count();
    let find = |action: &str| (0..forms - 1).find(|at| page.form(*at).0 == action).unwrap();
    let (ceilings, zone) = (find("/limits/ceilings"), find("/limits/zone"));
    let over = [("scope", "project"), ("subject", "shop"), ("period", "day")];
    let set = |amount: &'static str| [&over[..], &[("amount", amount)]].concat();
    let done = scene.ada.submit(&page, ceilings, &set("20"), None).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/limits#ceilings"));
    let done = scene.ada.submit(&page, zone, &[("zone", "Europe/Berlin")], None).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let shown = scene.ada.get("/limits").await;
    assert!(shown.body.contains("USD 20.00 a day for the project shop") && shown.body.contains("those of Europe/Berlin"), "{}", shown.body);
    for bad in [("amount", "ten"), ("amount", "-1"), ("currency", "XXX"), ("subject", "a b")] {
        let answer = scene.ada.submit(&page, ceilings, &[&set("20")[..], &[bad]].concat(), None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad:?}");
    }
    assert_eq!(scene.ada.submit(&page, zone, &[("zone", "Mars/Olympus")], None).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(scene.ada.submit(&page, ceilings, &[&set("20")[..], &[("csrf", "x")]].concat(), None).await.status, StatusCode::FORBIDDEN);

    scene.world.clock.advance_secs(11 * 3600);
    let lower = scene.ada.submit(&page, ceilings, &set("10"), None).await;
    assert_eq!(lower.status, StatusCode::SEE_OTHER, "lowering does not wait");
    for wider in ["30", ""] {
        let asked = scene.ada.submit(&page, ceilings, &set(wider), None).await;
        assert!(asked.status == StatusCode::FORBIDDEN && asked.body.contains("Is it you?"), "{wider}: {}", asked.body);
    }
    let asked = scene.ada.submit(&page, zone, &[("zone", "UTC")], None).await;
    assert!(asked.body.contains("Is it you?"), "{}", asked.body);
    let raise = scene.ada.submit(&page, ceilings, &set("30"), None).await;
    let world = &scene.world;
    let done = scene.ada.step_up(world, "ada@example.test", &raise).await;
    assert_eq!(scene.ada.submit(&done, 1, &[], None).await.location(), "/limits#ceilings");
    let shown = scene.ada.get("/limits").await;
    assert!(shown.body.contains("USD 30.00 a day"), "what was asked is done after the proof: {}", shown.body);
}

#[tokio::test]
async fn what_a_budget_reached_is_told_once_by_mail_and_by_a_signed_message_over_restarts() {
    let scene = Scene::new().await;
    let (id, secret) = scene.webhook().await;
    scene.budget(json!({ "scope": "organisation", "amount_minor": 100_00, "thresholds": [5, 8, 9], "unusual": false })).await;
    scene.buys(8_50).await;
    // killed here: nothing was sent yet, and another node comes
    let origin = Origin::of(&scene.hook.parse().unwrap()).unwrap();
    let after = scene.world.beside_fetching(vec![origin]).await;
    assert!(scene.receiver.take().is_empty());
    after.run_jobs().await;
    scene.world.run_jobs().await;
    assert_eq!(scene.receiver.kinds(), ["alert.budget_threshold", "alert.budget_threshold"]);
    let messages = scene.receiver.take();
    for message in &messages {
        assert!(is_signed(message, &secret));
        let (headers, body) = message;
        assert!(!is_signed(&(headers.clone(), body.replace("850", "950")), &secret), "a changed body is taken");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(headers["webhook-id"].to_str().unwrap(), body["data"]["id"], "{body}");
        assert_eq!(body["data"]["spent"]["amount_minor"], 8_50, "{body}");
    }
    let mails: Vec<String> = after.mail_to("ada@example.test").await.into_iter().filter(|mail| mail.contains("of the budget")).collect();
    assert_eq!(mails.len(), 2, "{mails:#?}");
    assert!(mails.iter().any(|mail| mail.contains("8 % of the budget")) && mails.iter().any(|mail| mail.contains("5 % of the budget")));
    scene.world.run_jobs().await;
    assert!(scene.receiver.take().is_empty(), "it is told again");

    let (status, told) = scene.person("GET", "/v1/alerts", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let told = told["alerts"].as_array().unwrap().clone();
    let thresholds: Vec<&Value> = told.iter().filter(|alert| alert["kind"] == "budget_threshold").collect();
    assert_eq!(thresholds.len(), 2);
    for alert in thresholds {
        assert_eq!(alert["mails"], json!(["ada@example.test"]));
        assert_eq!((&alert["webhooks"][0]["endpoint"], &alert["webhooks"][0]["state"]), (&json!(id), &json!("delivered")), "{alert}");
    }
    let own = scene.program("GET", "/v1/alerts", Value::Null).await.1.to_string();
    assert!(own.contains("budget_threshold") && !own.contains("ada@example.test") && !own.contains(&id), "{own}");
    let events = scene.person("GET", "/v1/events?after=0&verb=spend_alert", Value::Null).await.1;
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), told.len());
    let cursor = events[0]["seq"].as_i64().unwrap();
    let rest = scene.person("GET", &format!("/v1/events?after={cursor}&verb=spend_alert"), Value::Null).await.1;
    assert_eq!(rest["events"].as_array().unwrap().len(), told.len() - 1, "what comes after a number that was read");
}

#[tokio::test]
async fn a_message_that_is_not_taken_comes_again_under_the_same_id_and_a_dead_address_is_disabled_and_told() {
    let mut scene = Scene::new().await;
    let (id, secret) = scene.webhook().await;
    let test = format!("/v1/webhooks/{id}/test");
    // a new secret: both sign for a day
    let (_, rotated) = scene.person("POST", &format!("/v1/webhooks/{id}/rotate"), json!({})).await;
    let fresh = Secret::new(rotated["secret"].as_str().unwrap().to_owned());
    scene.person("POST", &test, json!({})).await;
    scene.world.run_jobs().await;
    let message = scene.receiver.take().remove(0);
    assert!(is_signed(&message, &secret) && is_signed(&message, &fresh));

    scene.receiver.says(vec![500, 503]);
    let (_, sent) = scene.person("POST", &test, json!({})).await;
    scene.world.run_jobs().await;
    for wait in [5, 300] {
        assert_eq!(scene.receiver.got.lock().unwrap().len(), if wait == 5 { 1 } else { 2 });
        scene.world.clock.advance_secs(wait - 1);
        scene.world.run_jobs().await;
        scene.world.clock.advance_secs(1);
        scene.world.run_jobs().await;
    }
    let messages = scene.receiver.take();
    let ids: Vec<&str> = messages.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(ids, [sent["message"].as_str().unwrap(); 3]);
    assert!(messages.iter().all(|message| is_signed(message, &secret)), "each try has a signature of its own moment");
    assert_ne!(messages[0].0["webhook-timestamp"], messages[2].0["webhook-timestamp"]);

    // 410 says that nothing is wanted any more
    scene.receiver.says(vec![410]);
    scene.person("POST", &test, json!({})).await;
    scene.world.run_jobs().await;
    scene.receiver.take();
    let (status, refused) = scene.person("POST", &test, json!({})).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("webhook_disabled")), "{refused}");
    scene.budget(json!({ "scope": "organisation", "amount_minor": 1_00 })).await;
    scene.buys(1_00).await;
    scene.world.run_jobs().await;
    assert!(scene.receiver.take().is_empty(), "nothing goes to a disabled address");
    let mails = scene.world.mail_to("ada@example.test").await;
    assert_eq!(mails.iter().filter(|mail| mail.contains("webhook at 127.0.0.1 is disabled")).count(), 1);
    let page = scene.ada.get("/webhooks").await;
    assert!(page.body.contains("disabled") && !page.body.contains("whsec_"), "{}", page.body);
}

#[tokio::test]
async fn after_a_day_the_secret_before_signs_no_more() {
    let scene = Scene::new().await;
    let (id, secret) = scene.webhook().await;
    let (_, rotated) = scene.person("POST", &format!("/v1/webhooks/{id}/rotate"), json!({})).await;
    let fresh = Secret::new(rotated["secret"].as_str().unwrap().to_owned());
    scene.budget(json!({ "scope": "organisation", "amount_minor": 1_00, "thresholds": [100], "unusual": false })).await;
    scene.world.clock.advance_secs(purser_provisioning::webhook::OVERLAP_S);
    scene.buys(1_00).await;
    scene.world.run_jobs().await;
    let message = scene.receiver.take().remove(0);
    assert!(is_signed(&message, &fresh) && !is_signed(&message, &secret));
}

#[tokio::test]
async fn ten_tries_over_three_days_and_then_the_address_is_disabled() {
    let scene = Scene::new().await;
    let (id, _) = scene.webhook().await;
    scene.receiver.says(vec![500; 20]);
    scene.person("POST", &format!("/v1/webhooks/{id}/test"), json!({})).await;
    for _ in 0..12 {
        scene.world.run_jobs().await;
        scene.world.clock.advance_secs(24 * 3600);
    }
    assert_eq!(scene.receiver.take().len(), purser_provisioning::webhook::WAITS_S.len() + 1);
    let mails = scene.world.mail_to("ada@example.test").await;
    assert_eq!(mails.iter().filter(|mail| mail.contains("is disabled")).count(), 1);
}

#[tokio::test]
async fn messages_go_to_no_inside_address_and_a_webhook_is_a_persons() {
    let scene = Scene::new().await;
    for inside in [
        "http://127.0.0.1:1/x",
        "https://10.0.0.1/x",
        "https://localhost/x",
        "http://example.com/x",
        "ftp://example.com",
        "https://u:p@example.com/",
    ] {
        let (status, answer) = scene.person("POST", "/v1/webhooks", json!({ "url": inside })).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::BAD_REQUEST, Some("webhook_address")), "{inside}: {answer}");
    }
    let (id, _) = scene.webhook().await;
    for (method, path, body) in [
        ("GET", "/v1/webhooks".to_owned(), Value::Null),
        ("POST", "/v1/webhooks".to_owned(), json!({ "url": "https://evil.example/x" })),
        ("POST", format!("/v1/webhooks/{id}/rotate"), json!({})),
        ("POST", format!("/v1/webhooks/{id}/test"), json!({})),
        ("POST", format!("/v1/webhooks/{id}/remove"), json!({})),
        ("PUT", "/v1/budgets".to_owned(), json!({ "scope": "organisation", "amount_minor": 1 })),
    ] {
        let (status, answer) = scene.program(method, &path, body).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("agent_not_allowed")), "{method} {path}: {answer}");
    }
    let mut eve = scene.world.person("eve@example.test").await;
    let stranger = scene.world.terminal(&mut eve).await;
    for what in ["rotate", "test", "remove"] {
        let path = format!("/v1/webhooks/{id}/{what}");
        let (status, answer) = scene.world.api(Some((&stranger.0, &stranger.1)), "POST", &path, "application/json", "{}".to_owned()).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::NOT_FOUND, Some("webhook_unknown")), "{answer}");
    }
    assert_eq!(scene.person("POST", &format!("/v1/webhooks/{id}/remove"), json!({})).await.0, StatusCode::OK);
    scene.budget(json!({ "scope": "organisation", "amount_minor": 1_00 })).await;
    scene.buys(1_00).await;
    scene.world.run_jobs().await;
    assert!(scene.receiver.take().is_empty());
}

#[tokio::test]
async fn a_budget_that_freezes_stops_the_agent_whose_charge_it_was() {
    let mut scene = Scene::new().await;
    scene.budget(json!({ "scope": "project", "subject": "shop", "amount_minor": 10_00, "action": "freeze" })).await;
    scene.buys(9_99).await;
    scene.world.run_jobs().await;
    assert_eq!(scene.program("GET", "/v1/whoami", Value::Null).await.0, StatusCode::OK);
    scene.buys(1).await;
    scene.world.run_jobs().await;
    let (status, refused) = scene.program("GET", "/v1/whoami", Value::Null).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::FORBIDDEN, Some("agent_frozen")), "{refused}");
    assert!(refused["details"]["budget"].as_str().unwrap().starts_with("bdg_"), "{refused}");
    assert!(refused.to_string().contains("100 % of the budget for the project shop is spent"), "{refused}");
    let page = scene.ada.get("/limits").await;
    assert!(page.body.contains("freezes the agent") && page.body.contains(", now"), "{}", page.body);
    let page = scene.ada.get("/alerts").await;
    assert!(
        page.body.contains("100 % of the budget for the project shop is spent") && page.body.contains("mail to ada@example.test"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_budget_that_freezes_and_is_spent_when_it_is_set_stops_the_agent_at_once() {
    let scene = Scene::new().await;
    scene.buys(9_99).await;
    scene.world.run_jobs().await;
    scene.budget(json!({ "scope": "project", "subject": "shop", "amount_minor": 9_00, "action": "freeze" })).await;
    scene.world.run_jobs().await;
    let (status, refused) = scene.program("GET", "/v1/whoami", Value::Null).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::FORBIDDEN, Some("agent_frozen")), "{refused}");
}

#[tokio::test]
async fn what_an_agent_asks_for_is_filled_in_on_the_pages_and_not_done() {
    let mut scene = Scene::new().await;
    let page = scene
        .ada
        .get("/limits?form=budget&scope=project&subject=shop&amount=12.50&period=week&action=freeze&act_at=90&thresholds=30,60")
        .await;
    for part in
        ["value=\"12.50\"", "value=\"30,60\"", "value=\"90\"", "<option value=\"freeze\" selected>", "<option value=\"week\" selected>"]
    {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert_eq!(page.body.matches("Somebody asked you to set this").count(), 1);
    let page = scene.ada.get("/webhooks?url=https%3A%2F%2Fexample.com%2F%22%3Ehook").await;
    assert!(page.body.contains("Somebody asked you to add this") && !page.body.contains("\">hook"), "{}", page.body);
    assert!(scene.ada.get("/webhooks").await.body.contains("There is no address yet"));
}

#[tokio::test]
async fn a_month_is_added_up_and_exported_without_formulas() {
    let mut scene = Scene::new().await;
    for minor in [5_00, 2_50] {
        scene.buys(minor).await;
    }
    for (by, key) in [("project", "shop"), ("provider", "slipway"), ("category", "hosting"), ("service", "unknown"), ("day", "2026-11-23")]
    {
        let (status, report) = scene.program("GET", &format!("/v1/spend/report?by={by}"), Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{report}");
        let rows = report["rows"].as_array().unwrap();
        assert_eq!(
            (rows.len(), &rows[0]["key"], &rows[0]["paid"]["amount_minor"], &rows[0]["charges"]),
            (1, &json!(key), &json!(7_50), &json!(2)),
            "{by}"
        );
    }
    for (since, until, rows) in
        [("2026-11-23", "2026-11-23", 1), ("2026-11", "2026-11", 1), ("2026-10", "2026-10", 0), ("2026-11-24", "2026-12", 0)]
    {
        let (_, report) = scene.person("GET", &format!("/v1/spend/report?by=agent&since={since}&until={until}"), Value::Null).await;
        assert_eq!(report["rows"].as_array().unwrap().len(), rows, "{since} {until}");
    }
    for bad in ["by=colour", "by=day&since=yesterday", "by=day&until=2026-13"] {
        assert_eq!(scene.person("GET", &format!("/v1/spend/report?{bad}"), Value::Null).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let (_, whole) = scene.person("GET", "/v1/statement?month=2026-11&project=shop", Value::Null).await;
    assert_eq!(whole["charges"].as_array().unwrap().len(), 2);
    let (_, none) = scene.person("GET", "/v1/statement?month=2026-11&project=blog", Value::Null).await;
    for part in ["charges", "refunds", "positions", "owed", "chargebacks", "waiting", "totals"] {
        assert_eq!(none[part], json!([]), "{part} of another project");
    }
    assert_eq!(whole["totals"], json!([{ "charged": usd(7_50), "refunded": usd(0), "paid": usd(7_50) }]));
    let (_, tokyo) = scene.person("GET", "/v1/spend/report?by=day&zone=Asia/Tokyo", Value::Null).await;
    assert_eq!((&tokyo["zone"], &tokyo["since"]), (&json!("Asia/Tokyo"), &json!("2026-10-31T15:00:00Z")), "{tokyo}");
    assert_eq!(scene.person("GET", "/v1/spend/report?by=day&zone=Mars/Olympus", Value::Null).await.0, StatusCode::BAD_REQUEST);
    let page = scene.ada.get("/spend").await;
    assert!(
        page.body.contains("<svg class=\"days\"")
            && page.body.contains("USD 7.50 in all")
            && page.body.contains("<th scope=\"row\">2026-11-23</th>")
    );
    let csv = scene.ada.get("/spend.csv").await.body;
    assert!(csv.contains(",'=1+1,USD,5.00,500,succeeded,") && csv.ends_with("\r\n"), "{csv}");
}
