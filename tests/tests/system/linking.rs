//! Accounts that exist are linked by their owners: every answer that a provider may give, and every way to take somebody over.

use std::sync::Arc;
use std::time::Duration;

use purser_tests::agent::Envelope;
use purser_tests::browser::Page;
use purser_tests::{Agent, Ask, Choice, Person, processes, store};
use purser_values::Secret;
use purser_wire::account_confirmation::{AccountConfirmation, Decision};
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::stage::{Stage, tokens};

/// A state of a provider's own.
const STATE: &str = "state-of-the-providers-own-01";

/// An orchestrator with one scripted provider, a person and her agent.
struct Play {
    alone: Alone,
    stage: Arc<Stage>,
    ada: Person,
    agent: Agent,
}

impl Play {
    async fn start(promises_iss: bool) -> Option<Self> {
        let mut stages = Vec::new();
        let alone = Alone::with_providers(async |orchestrator| {
            stages.push(Stage::start("stage", orchestrator, promises_iss).await);
            stages.iter().map(|stage| (stage.name, stage.address)).collect()
        })
        .await?;
        let (mut ada, agent) = (alone.person("ada"), alone.agent("linker"));
        processes::until("the catalogue", Duration::from_secs(20), async || {
            agent.run(&["catalog"]).await.stdout.contains("stage/greeting").then_some(())
        })
        .await;
        agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
        agent.must(&["init", "linker"]).await;
        Some(Self { stage: stages.remove(0), alone, ada, agent })
    }

    /// The provider sends people to a page with this state, and redeems codes for this account.
    fn wants_person(&self, state: &str, account: &'static str) {
        let page = self.stage.page(state);
        self.stage.says("account_requests", move |asked| {
            (200, json!({"id": asked["id"], "type": "requires_auth", "requires_auth": {"type": "redirect", "redirect": {"url": page}}}))
        });
        self.stage.says("token", move |_| (200, tokens(account, 3600)));
    }

    async fn add(&self, name: &str) -> Envelope {
        self.agent.run(&["add", "stage/greeting", "--name", name]).await
    }

    /// Adds and finds that the person is needed; the path of the page for them.
    async fn waits(&self, name: &str) -> String {
        let envelope = self.add(name).await;
        assert_eq!((envelope.exit, envelope.code()), (8, "account_link_required"), "{}", envelope.stdout);
        let details = &envelope.json["error"]["details"];
        assert_eq!(details["person"]["email"], "ada@example.test", "{details}");
        assert!(details["expires_at"].is_string() && !envelope.stdout.contains(STATE), "{}", envelope.stdout);
        let url = details["url"].as_str().unwrap();
        url.strip_prefix(&self.alone.url).unwrap_or_else(|| panic!("`{url}` is not ours")).to_owned()
    }

    fn callback(&self, query: &str) -> String {
        format!("/link/callback/stage?{query}")
    }

    /// How a resource of the project stands, once it is no longer being made.
    async fn comes_to(&self, name: &str) -> String {
        processes::until("an end", Duration::from_secs(20), async || {
            let status = self.agent.must(&["status"]).await;
            let row = status["resources"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
            match row.map(|row| row["state"].as_str().unwrap().to_owned()) {
                None => Some("gone".to_owned()),
                Some(state) if state == "creating" => None,
                Some(state) => Some(state),
            }
        })
        .await
    }

    /// What the saga that was last begun failed with.
    async fn failed_with(&self) -> String {
        let dir = self.alone.data();
        let failure = processes::until("a failure", Duration::from_secs(20), async || {
            let sql = "select coalesce(failure, '') as x from saga order by created_at desc limit 1";
            store::texts(&dir, "purser.db", sql).await.pop().filter(|text| !text.is_empty())
        })
        .await;
        serde_json::from_str::<Value>(&failure).unwrap()["code"].as_str().unwrap().to_owned()
    }
}

fn says_connected(page: &Page) {
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.path.starts_with("/link/arq_") && !page.path.contains("code"), "a code stays in the address: {}", page.path);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_an_account_that_exists_and_the_agent_goes_on_by_itself() {
    let Some(mut play) = Play::start(true).await else { return };
    play.wants_person(STATE, "acct_ada");
    let path = play.waits("first").await;
    let page = play.ada.open(&path).await;
    assert!(page.body.contains(&format!("href=\"{}\"", play.stage.page(STATE).replace('&', "&#38;"))), "{}", page.body);
    assert!(page.text().contains("linker agent") && page.text().contains("stage"), "{}", page.text());

    // the orchestrator may die meanwhile
    play.alone.restart().await;
    let iss = play.stage.issuer();
    let page = play.ada.open(&play.callback(&format!("code=the-code&state={STATE}&iss={iss}"))).await;
    says_connected(&page);
    assert_eq!(play.comes_to("first").await, "live");

    let request = play.stage.asked("account_requests").remove(0);
    let redeemed = play.stage.asked("token");
    assert_eq!(redeemed.len(), 1, "a code was redeemed more than once");
    assert_eq!((redeemed[0]["grant_type"].as_str(), redeemed[0]["code"].as_str()), (Some("authorization_code"), Some("the-code")));
    let challenge = purser_wire::pkce::challenge(&Secret::new(redeemed[0]["code_verifier"].as_str().unwrap().to_owned()));
    assert_eq!(request["code_challenge"], challenge);
    // it stays connected: nobody is asked again
    play.stage.forget();
    assert!(play.add("second").await.ok());
    assert!(play.stage.asked("account_requests").is_empty());
    assert!(play.ada.open(&path).await.text().contains("is connected"));
    let log = play.alone.log();
    assert!(!log.contains(STATE) && !log.contains("the-code"), "a state or a code is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_with_the_command_gets_the_resource_from_it() {
    let Some(mut play) = Play::start(false).await else { return };
    let page = play.stage.page(STATE);
    play.stage.says("account_requests", move |_| (200, json!({"type": "requires_auth", "requires_auth": {"url": page}, "error": null})));
    play.stage.says("token", |_| (200, tokens("acct_flat", 3600)));
    let agent = play.agent.clone();
    let adding = agent.run(&["add", "stage/greeting", "--name", "first", "--wait", "--timeout", "60"]);
    let callback = play.callback(&format!("code=c&state={STATE}"));
    let connecting = async {
        processes::until("the request", Duration::from_secs(20), async || (!play.stage.asked("account_requests").is_empty()).then_some(()))
            .await;
        processes::until("the page", Duration::from_secs(20), async || (play.ada.open(&callback).await.status == 200).then_some(())).await;
    };
    let (added, ()) = tokio::join!(adding, connecting);
    assert!(added.ok(), "{} {}", added.stdout, added.stderr);
    assert!(added.stderr.contains("/link/arq_"), "nobody was told where to go: {}", added.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_at_the_provider_ends_it_and_is_told_apart_from_silence() {
    let Some(mut play) = Play::start(false).await else { return };
    play.wants_person(STATE, "acct_ada");
    play.waits("first").await;
    let page = play.ada.open(&play.callback(&format!("error=access_denied&state={STATE}"))).await;
    assert!(page.text().contains("said no"), "{}", page.text());
    assert_eq!(play.comes_to("first").await, "gone");
    assert_eq!(play.failed_with().await, "account_link_denied");

    play.wants_person("another-state-of-the-provider", "acct_ada");
    let path = play.waits("second").await;
    assert_eq!(store::tamper(&play.alone.data(), "update account_link set expires_at = 1").await, 1);
    assert_eq!(play.comes_to("second").await, "gone");
    assert_eq!(play.failed_with().await, "account_link_expired");
    assert!(play.ada.open(&path).await.text().contains("in time"), "the page does not say that it is over");
    assert!(play.stage.asked("token").is_empty());
    // what a provider calls expired is no other thing
    play.stage
        .says("account_requests", |_| (200, json!({"type": "error", "error": {"code": "account_request_expired", "message": "late"}})));
    assert_eq!(play.add("third").await.code(), "account_link_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_need_time_then_information_and_then_gives_credentials() {
    let Some(mut play) = Play::start(false).await else { return };
    let times = std::sync::atomic::AtomicU32::new(0);
    play.stage.says("account_requests", move |asked| {
        if times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            return (202, json!({"type": "registering", "retry_after": 1}));
        }
        if asked["submitted_information"]["region"] == "EU" && asked["configuration"]["region"] == "EU" {
            let bearer = json!({"access_token": "a", "refresh_token": null, "expires_in": null, "account": {"id": "acct_tc", "payment_credentials": null}});
            return (200, json!({"type": "credentials", "credentials": {"type": "bearer", "bearer": bearer}, "oauth": null, "error": null}));
        }
        let region = json!({"type": "string", "enum": ["EU", "US"], "description": "where your data is kept"});
        (200, json!({"type": "needs_information", "needs_information": {"schema": {"type": "object", "required": ["region"], "properties": {"region": region}}}}))
    });
    let envelope = play.add("first").await;
    assert_eq!((envelope.exit, envelope.code()), (8, "account_information_required"), "{}", envelope.stdout);
    let details = &envelope.json["error"]["details"];
    assert_eq!(details["schema"]["properties"]["region"]["enum"], json!(["EU", "US"]));
    let path = details["url"].as_str().unwrap().strip_prefix(&play.alone.url).unwrap().to_owned();
    let page = play.ada.open(&path).await;
    assert!(page.text().contains("where your data is kept"), "{}", page.text());
    let mut form = page.form(&format!("{path}/information"));
    form.type_in("field.region", "EU");
    let page = play.ada.browser.press(&form, "").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(play.comes_to("first").await, "live");
    let ids: Vec<Value> = play.stage.asked("account_requests").iter().map(|asked| asked["id"].clone()).collect();
    assert!(ids.len() >= 3 && ids.iter().all(|id| *id == ids[0]), "one request became several: {ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_confirm_by_itself_with_the_secret_of_the_request() {
    let Some(play) = Play::start(false).await else { return };
    play.wants_person(STATE, "acct_or");
    play.waits("first").await;
    let asked = play.stage.asked("account_requests").remove(0);
    let id = asked["id"].as_str().unwrap().parse().unwrap();
    let confirmation = |secret: &str, decision| AccountConfirmation { confirmation_secret: secret.to_owned().into(), decision };
    let secret = asked["confirmation_secret"].as_str().unwrap().to_owned();
    for wrong in ["", "guess", STATE] {
        let refused = play.stage.orchestrator.account_confirm(&id, &confirmation(wrong, Decision::Approved)).await.unwrap_err();
        assert!(refused.to_string().contains("link_unknown"), "{refused}");
    }
    let stranger = "arq_nobody".parse().unwrap();
    let unknown = play.stage.orchestrator.account_confirm(&stranger, &confirmation(&secret, Decision::Approved)).await.unwrap_err();
    assert!(unknown.to_string().contains("link_unknown"), "{unknown}");
    let unsigned = purser_tests::browser::client()
        .post(format!("{}/v2/provisioning/account_requests/{id}/confirm", play.alone.url))
        .json(&json!({"confirmation_secret": secret}))
        .send()
        .await
        .unwrap();
    assert_eq!(unsigned.status().as_u16(), 401, "a confirmation without a signature was taken");

    play.stage.says("account_requests", |_| (200, json!({"type": "oauth", "oauth": {"code": "after-the-yes"}})));
    for _ in 0..2 {
        play.stage.orchestrator.account_confirm(&id, &confirmation(&secret, Decision::Approved)).await.ok();
    }
    assert_eq!(play.comes_to("first").await, "live");
    assert_eq!(play.stage.asked("token")[0]["code"], "after-the-yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_an_account_has_a_name_and_leaves_nothing() {
    let Some(play) = Play::start(false).await else { return };
    for (status, body, code) in [
        (400, json!({"type": "error", "error": {"code": "team_resolution_failed", "message": "no team"}}), "provider_refused"),
        (200, json!({"type": "error", "error": {"code": "forbidden", "message": "no"}}), "provider_refused"),
        (403, json!({"error": {"code": "forbidden", "message": "no"}}), "provider_refused"),
        (
            422,
            json!({"detail": [{"loc": ["body", "organisation"], "msg": "Field required", "input": {"confirmation_secret": "hunter2"}}]}),
            "provider_refused",
        ),
        (
            200,
            json!({"type": "requires_auth", "requires_auth": {"redirect": {"url": "https://evil.example/agree?state=0123456789abcdef"}}}),
            "account_url_refused",
        ),
        (
            200,
            json!({"type": "requires_auth", "requires_auth": {"redirect": {"url": "http://169.254.169.254/agree"}}}),
            "account_url_refused",
        ),
        (200, json!({"type": "requires_auth", "requires_auth": {"redirect": {"url": "javascript:alert(1)"}}}), "account_url_refused"),
        (200, json!({"type": "credentials", "credentials": {"type": "bearer", "bearer": {"access_token": "a"}}}), "provider_garbage"),
    ] {
        let said = body.clone();
        play.stage.says("account_requests", move |_| (status, said.clone()));
        let envelope = play.add("first").await;
        assert_eq!((envelope.exit, envelope.code()), (9, code), "{body}: {}", envelope.stdout);
        assert!(!envelope.stdout.contains("hunter2") && !envelope.stdout.contains("evil.example"), "{}", envelope.stdout);
        assert_eq!(play.agent.must(&["status"]).await["resources"], json!([]), "{body} left something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_whose_fate_is_unknown_is_never_sent_again() {
    let Some(mut play) = Play::start(false).await else { return };
    play.wants_person(STATE, "acct_ada");
    play.waits("first").await;
    // the provider redeems it, and its answer is lost; asked again, it knows us
    play.stage.says("token", |form| if form["code"] == "first" { (502, json!({})) } else { (200, tokens("acct_ada", 3600)) });
    play.stage.says("account_requests", |_| (200, json!({"type": "oauth", "oauth": {"code": "fresh"}})));
    play.ada.open(&play.callback(&format!("code=first&state={STATE}"))).await;
    assert_eq!(play.comes_to("first").await, "live");
    let codes: Vec<Value> = play.stage.asked("token").iter().map(|form| form["code"].clone()).collect();
    assert_eq!(codes, [json!("first"), json!("fresh")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_the_provider_has_ended_are_got_again_for_the_same_account_and_for_no_other() {
    let Some(mut play) = Play::start(false).await else { return };
    // each token is over as soon as it is there, and every refresh after the first is refused
    play.stage.says("account_requests", |_| (200, json!({"type": "oauth", "oauth": {"code": "c"}})));
    play.stage.says("token", |form| match form["grant_type"].as_str() {
        Some("refresh_token") => (401, json!({"detail": "Invalid refresh token"})),
        _ => (200, tokens("acct_ada", 1)),
    });
    assert!(play.add("first").await.ok(), "an account that the provider gives again was not taken");
    assert!(play.stage.asked("account_requests").len() > 1);

    // now its owner has cut it: a person is needed, by name, and another account is not taken
    play.wants_person(STATE, "acct_of_mallory");
    play.stage.says("token", |form| match form["grant_type"].as_str() {
        Some("refresh_token") => (400, json!({"error": "invalid_grant"})),
        _ => (200, tokens("acct_of_mallory", 3600)),
    });
    play.waits("second").await;
    let made = play.stage.asked("resources").len();
    play.ada.open(&play.callback(&format!("code=c&state={STATE}"))).await;
    assert_eq!(play.comes_to("second").await, "gone");
    assert_eq!(play.failed_with().await, "account_changed");
    assert_eq!(play.stage.asked("resources").len(), made, "something was made in another account");
    let told = processes::until("a mail", Duration::from_secs(10), async || {
        play.ada.mails().into_iter().find(|mail| mail.contains("Another account at stage"))
    })
    .await;
    assert!(told.contains("acct_of_mallory") && told.contains("acct_ada"), "{told}");

    // the first account again is fine
    play.wants_person("yet-another-state-of-theirs", "acct_ada");
    play.waits("third").await;
    play.ada.open(&play.callback("code=c&state=yet-another-state-of-theirs")).await;
    assert_eq!(play.comes_to("third").await, "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_mix_up_and_replay_and_code_injection_open_nothing() {
    let Some(mut play) = Play::start(true).await else { return };
    play.wants_person(STATE, "acct_ada");
    play.waits("first").await;
    let iss = play.stage.issuer();
    let refused =
        |page: &Page, code: &str| assert!(page.status >= 400 && page.text().contains(code), "{code}: {} {}", page.status, page.text());
    // a state that nobody gave, none, two, and no answer at all
    refused(&play.ada.open(&play.callback(&format!("code=c&state=guessed-state-of-nobody&iss={iss}"))).await, "link_unknown");
    for query in ["code=c".to_owned(), format!("code=c&state={STATE}&state=x&iss={iss}"), format!("state={STATE}&iss={iss}")] {
        refused(&play.ada.open(&play.callback(&query)).await, "link_unusable");
    }
    // another issuer, or none where one was promised (RFC 9207)
    refused(&play.ada.open(&play.callback(&format!("code=c&state={STATE}&iss=https://evil.example"))).await, "link_issuer_wrong");
    refused(&play.ada.open(&play.callback(&format!("code=c&state={STATE}"))).await, "link_issuer_wrong");
    // the callback address of another provider
    refused(&play.ada.open(&format!("/link/callback/slipway?code=c&state={STATE}&iss={iss}")).await, "link_of_another_provider");
    // login CSRF: somebody else's session, with a code of theirs or lured there
    let mut eve = play.alone.person("eve");
    eve.open("/").await;
    refused(&eve.open(&play.callback(&format!("code=of-eve&state={STATE}&iss={iss}"))).await, "link_for_another_person");
    assert!(play.stage.asked("token").is_empty(), "a code that does not belong here was redeemed");
    // none of that spoiled the real answer, and that one is good once
    says_connected(&play.ada.open(&play.callback(&format!("code=real&state={STATE}&iss={iss}"))).await);
    assert_eq!(play.comes_to("first").await, "live");
    refused(&play.ada.open(&play.callback(&format!("code=again&state={STATE}&iss={iss}"))).await, "link_unknown");
    let codes: Vec<Value> = play.stage.asked("token").iter().map(|form| form["code"].clone()).collect();
    assert_eq!(codes, [json!("real")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_person_sees_the_page_and_nobody_is_sent_on() {
    let Some(play) = Play::start(false).await else { return };
    play.wants_person(STATE, "acct_ada");
    let path = play.waits("first").await;
    // signed out: the callback is no way around signing in, and leads nowhere else
    let stranger = purser_tests::browser::client()
        .get(format!("{}{}", play.alone.url, play.callback(&format!("code=c&state={STATE}"))))
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status().as_u16(), 303);
    assert!(stranger.headers()["location"].to_str().unwrap().starts_with("/sign-in?next="), "{:?}", stranger.headers());
    let mut eve = play.alone.person("eve");
    eve.open("/").await;
    let page = eve.open(&path).await;
    assert!(page.status == 403 && !page.body.contains(STATE), "{} {}", page.status, page.text());
    let page = eve.open("/link/arq_nobody").await;
    assert_eq!(page.status, 404, "{}", page.text());
    // no frame around the page, nothing of it elsewhere
    let answer = purser_tests::browser::client().get(format!("{}{path}", play.alone.url)).send().await.unwrap();
    assert!(answer.headers().get("x-frame-options").is_some_and(|v| v == "DENY") || answer.status().is_redirection());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_another_tenant_is_not_shared() {
    let Some(mut play) = Play::start(false).await else { return };
    play.wants_person(STATE, "acct_shared");
    play.waits("first").await;
    play.ada.open(&play.callback(&format!("code=c&state={STATE}"))).await;
    assert_eq!(play.comes_to("first").await, "live");

    let (mut eve, strange) = (play.alone.person("eve"), play.alone.agent("stranger"));
    strange.login(&mut eve, Ask::ALL, &Choice::USUAL).await;
    strange.must(&["init", "stranger"]).await;
    play.stage.says("account_requests", |_| (200, json!({"type": "oauth", "oauth": {"code": "c"}})));
    let made = play.stage.asked("resources").len();
    assert_eq!(strange.refused(&["add", "stage/greeting"]).await, "account_pinned_elsewhere");
    assert_eq!(play.stage.asked("resources").len(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_may_connect_first_and_answer_what_the_provider_asks_by_itself() {
    let Some(play) = Play::start(false).await else { return };
    play.stage.says("account_requests", |asked| {
        if asked["submitted_information"]["region"] == "EU" {
            return (200, json!({"type": "oauth", "oauth": {"code": "c"}}));
        }
        (200, json!({"type": "needs_information", "needs_information_schema": {"type": "object", "properties": {"region": {"type": "string"}}}}))
    });
    play.stage.says("token", |_| (200, tokens("acct_ph", 3600)));
    assert_eq!(play.agent.refused(&["link", "nobody"]).await, "provider_unknown");
    assert_eq!(play.agent.refused(&["link", "stage", "--information", r#"{"region":"EU"}"#]).await, "link_not_asked");
    assert_eq!(play.agent.refused(&["link", "stage"]).await, "account_information_required");
    for bad in ["[]", "{}", "EU"] {
        play.agent.refused(&["link", "stage", "--information", bad]).await;
    }
    let linked = play.agent.must(&["link", "stage", "--information", r#"{"region":"EU"}"#]).await;
    assert_eq!(linked["account"]["provider"], "stage", "{linked}");
    assert_eq!(play.agent.must(&["link", "stage"]).await["account"]["id"], linked["account"]["id"]);
    assert!(play.add("first").await.ok());
    assert_eq!(play.stage.asked("token").len(), 1);
    // what was submitted is sealed, and not in the log
    let seen = store::texts(&play.alone.data(), "purser.db", "select body as x from audit_event where body like '%inform%'").await;
    assert!(!seen.is_empty() && !seen.concat().contains("\"EU\""), "{seen:?}");
}
