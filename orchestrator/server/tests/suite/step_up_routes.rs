//! What waits for a person who proved within five minutes that they are there, on every page and route that does it; and what never
//! waits. A new way to do one of these things belongs into this table.

use std::collections::BTreeSet;

use crate::world::company::Company;
use crate::world::{Agent, Answer, Browser, World};
use http::StatusCode;
use purser_authority::action::ALL;
use purser_authority::{Caller, STEP_UP_S};
use purser_db::{DbError, params};
use purser_identity::approval::{ApprovalError, Ask, approval_request};
use purser_values::Sha256Digest;
use purser_values::id::PersonId;
use serde_json::{Value, json};

const REQUEST: &str = "{}";

/// An owner with everything that can be raised, five minutes after they proved that they are there.
struct Scene {
    world: World,
    ada: Browser,
    terminal: (Agent, String),
    agent: String,
    grant: String,
    member: String,
    identity: String,
    approval: String,
    /// The consent page of another agent.
    consent: Answer,
}

async fn scene(seconds: i64) -> Scene {
    let mut world = World::new().await;
    let mut company = Company::start("acme", &world.env).await;
    company.confirms = false;
    world.sign_in_through(&[&company]);
    let mut ada = world.browser();
    let done = company.sign_in(&mut ada, "ada", &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let (agent, tokens) = world.granted(&mut ada).await;
    world.resource(&agent, &tokens, "slipway").await;
    let member = colleague(&world, &agent, &tokens).await;
    let approval = approval(&world, &agent, &tokens).await;
    let terminal = world.terminal(&mut ada).await;
    let asked = world.agent().ask(&[("project", "blog"), ("providers", "slipway")]).await;
    let consent = ada.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
    let security = ada.get("/security").await.body;
    let identity = security.split("/security/sso/sso_").nth(1).unwrap().split('/').next().unwrap();
    let id = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let (agent, grant, identity) = (id("agent_id"), id("grant_id"), format!("sso_{identity}"));
    let page = ada.get("/agents").await;
    let frozen = ada.post(&format!("/agents/{agent}/freeze"), &page.form(1).1).await;
    assert_eq!(frozen.status, StatusCode::SEE_OTHER, "{}", frozen.body);
    let ceiling = [("scope", "organisation"), ("subject", ""), ("period", "month"), ("amount", "50"), ("currency", "USD")];
    let csrf = page.form(1).1.into_iter().find(|(name, _)| name == "csrf").unwrap();
    let fields = ceiling.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain([csrf]).collect::<Vec<_>>();
    assert_eq!(ada.post("/limits/ceilings", &fields).await.status, StatusCode::SEE_OTHER);
    let csrf = page.form(1).1.into_iter().find(|(name, _)| name == "csrf").unwrap();
    let fields = budget("50", "require_approval").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let planned = ada.post("/limits/budgets", &[&fields[..], &[csrf]].concat()).await;
    assert_eq!(planned.status, StatusCode::SEE_OTHER, "{}", planned.body);
    world.clock.advance_secs(seconds);
    Scene { world, ada, terminal, agent, grant, member, identity, approval, consent }
}

/// A budget over the organisation's month, as the page sends it.
fn budget(amount: &'static str, action: &'static str) -> [(&'static str, &'static str); 8] {
    [
        ("scope", "organisation"),
        ("subject", ""),
        ("period", "month"),
        ("amount", amount),
        ("currency", "USD"),
        ("thresholds", "50, 100"),
        ("action", action),
        ("act_at", "100"),
    ]
}

async fn colleague(world: &World, agent: &Agent, tokens: &Value) -> String {
    let Caller::Agent { organisation, .. } = world.caller(agent, tokens).await else { panic!("an agent calls") };
    let id = PersonId::mint(&world.env);
    let joins = id.clone();
    let join = move |tx: &mut purser_db::Tx<'_>| {
        tx.execute("insert into person (id, email, created_at) values ($1, $2, 0)", params![joins, "cal@example.test"])?;
        let insert = "insert into membership (organisation, person, role, created_at) values ($1, $2, 'auditor', 0)";
        tx.execute(insert, params![organisation, joins])
    };
    world.front.core.db.write::<_, DbError, _>(join).await.unwrap();
    id.to_string()
}

async fn approval(world: &World, agent: &Agent, tokens: &Value) -> String {
    let context = world.call(agent, tokens["access_token"].as_str().unwrap()).await.unwrap();
    let realm = world.front.realm.clone();
    let ask = move |tx: &mut purser_db::Tx<'_>| {
        let permit = purser_authority::authorise(&context.caller, &context.facts(realm.env.now(), "x"))?;
        let ask = Ask {
            open_price: false,
            verb: "resource_add".to_owned(),
            request: REQUEST.to_owned(),
            summary: "add it".to_owned(),
            facts: Value::Null,
            reason: "it is needed".to_owned(),
            second_person: false,
        };
        approval_request(tx, &realm, &permit, &ask)
    };
    world.front.core.db.write::<_, ApprovalError, _>(ask).await.unwrap().value.id.to_string()
}

impl Scene {
    async fn press(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![self.ada.get("/agents").await.form(0).1.into_iter().find(|(name, _)| name == "csrf").unwrap()];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.ada.post(path, &all).await
    }

    /// Everything on the pages that raises authority, lets money out or changes who can get in: the action, and what came of it.
    async fn raised_on_pages(&mut self) -> Vec<(&'static str, Answer)> {
        let Self { agent, member, identity, approval, consent, .. } = self;
        let (agent, member, identity, approval, consent) =
            (agent.clone(), member.clone(), identity.clone(), approval.clone(), consent.clone());
        let (thaw, role) = (format!("/agents/{agent}/thaw"), format!("/organisation/members/{member}/role"));
        let (unlink, approve) = (format!("/security/sso/{identity}/unlink"), format!("/approvals/{approval}"));
        let digest = Sha256Digest::of(REQUEST.as_bytes()).to_string();
        let terms = self.ada.get("/terms").await.body;
        let seen = terms.split("name=\"seen\" value=\"").nth(1).map_or("", |rest| rest.split('"').next().unwrap()).to_owned();
        let grant = self.grant.clone();
        let mut found = vec![
            ("grant_accept", self.ada.submit(&consent, 1, &[], Some(("decision", "accept"))).await),
            ("passkey_add", self.ada.get("/security/passkeys").await),
        ];
        let workload = [&WORKLOAD[..], &[("grant", grant.as_str())]].concat();
        let pass = "psk_00000000000000000000000000";
        let remove = format!("/security/passkeys/{pass}/remove");
        let ceiling = |amount| [("scope", "organisation"), ("subject", ""), ("period", "month"), ("amount", amount), ("currency", "USD")];
        let (raised, none) = (ceiling("60"), ceiling(""));
        let looser = budget("60", "notify");
        let hook = "whk_00000000000000000000000000";
        let (lift, rotate) = ("/card/pmt_00000000000000000000000000/lift", format!("/webhooks/{hook}/rotate"));
        let credit = "/operator/credits/cra_00000000000000000000000000";
        let rate = [("from", "EUR"), ("to", "USD"), ("rate", "1.1"), ("deviation_bp", "200"), ("source", "a test"), ("days", "30")];
        let forms: [(&str, &str, &[(&str, &str)]); 23] = [
            ("credit_decide", credit, &[("digest", &digest), ("decision", "approve"), ("reason", "")]),
            ("agent_thaw", &thaw, &[]),
            ("cap_raise", "/limits", &[("agent", &agent), ("provider", ""), ("amount", "500.00")]),
            ("cap_raise", "/limits/ceilings", &raised),
            ("cap_raise", "/limits/ceilings", &none),
            ("budget_loosen", "/limits/budgets", &looser),
            ("chargeback_lift", lift, &[("provider", "slipway")]),
            ("webhook_add", "/webhooks", &[("url", "https://app.example/hook"), ("description", "")]),
            ("webhook_rotate", &rotate, &[]),
            ("cap_raise", "/limits/zone", &[("zone", "Europe/Vienna")]),
            ("rate_set", "/limits/rates", &rate),
            ("payment_method_set", "/card", &[("card", "4242")]),
            ("member_invite", "/organisation/invitations", &[("email", "dee@example.test"), ("role", "member")]),
            ("member_role_raise", &role, &[("role", "admin")]),
            ("approval_give", &approve, &[("digest", &digest), ("decision", "approve")]),
            ("workload_trust_add", "/workloads", &workload),
            ("terms_accept", "/terms", &[("provider", "slipway"), ("seen", &seen)]),
            ("passkey_remove", &remove, &[]),
            ("totp_add", "/security/app", &[]),
            ("totp_remove", "/security/app/remove", &[]),
            ("email_change", "/security/email", &[("email", "ada@home.test")]),
            ("sso_unlink", &unlink, &[]),
            ("sso_link", "/security/sso/acme/link", &[]),
        ];
        for (what, path, fields) in forms {
            found.push((what, self.press(path, fields).await));
        }
        found
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let who = Some((&self.terminal.0, self.terminal.1.as_str()));
        self.world.api(who, method, path, "application/json", body.to_string()).await
    }

    /// The same by the API, for a person's terminal.
    async fn raised_by_calls(&self) -> Vec<(&'static str, (StatusCode, Value))> {
        let role = format!("/v1/organisation/members/{}/role", self.member);
        let decide = format!("/v1/approvals/{}/decide", self.approval);
        let digest = Sha256Digest::of(REQUEST.as_bytes());
        let workload = json!({
            "grant": self.grant, "name": "CI", "issuer": "https://ci.example", "audience": "purser", "subject": "repo:acme/shop",
            "authorization_details": [{ "type": "purser_grant" }], "life_s": 600,
        });
        let rate = json!({ "from": "EUR", "to": "USD", "rate": "1.1", "source": "a test", "valid_until": "2027-06-01T00:00:00Z" });
        let mut found = Vec::new();
        for (action, method, path, body) in [
            ("rate_set", "PUT", "/v1/rates", rate),
            ("payment_method_set", "POST", "/v1/payment_methods", json!({})),
            ("terms_accept", "POST", "/v1/terms_acceptances", json!({})),
            ("credential_export", "POST", "/v1/variables/export", json!({ "project": "shop", "environment": "development" })),
            ("member_invite", "POST", "/v1/organisation/invitations", json!({ "email": "eli@example.test", "role": "member" })),
            ("client_register", "POST", "/v1/clients", json!({ "redirect_uris": ["https://app.test/cb"] })),
            ("workload_trust_add", "POST", "/v1/workload_trusts", workload),
            ("approval_give", "POST", &decide, json!({ "approve": true, "digest": digest })),
            ("member_role_raise", "POST", &role, json!({ "role": "admin" })),
            ("cap_raise", "POST", "/v1/caps", json!({ "agent": self.agent, "amount_minor": 500_00 })),
            ("cap_raise", "PUT", "/v1/ceilings", json!({ "scope": "organisation", "period": "month", "amount_minor": 70_00 })),
            ("cap_raise", "PUT", "/v1/ceilings/zone", json!({ "zone": "Asia/Tokyo" })),
            ("budget_loosen", "PUT", "/v1/budgets", json!({ "scope": "organisation", "period": "month", "amount_minor": 60_00 })),
            ("webhook_add", "POST", "/v1/webhooks", json!({ "url": "https://app.example/hook" })),
            ("webhook_rotate", "POST", "/v1/webhooks/whk_00000000000000000000000000/rotate", json!({})),
        ] {
            found.push((action, self.call(method, path, body).await));
        }
        found
    }
}

const WORKLOAD: [(&str, &str); 5] =
    [("name", "CI"), ("issuer", "https://ci.example.test"), ("subject", "repo:acme/shop"), ("audience", "purser"), ("minutes", "10")];

#[tokio::test]
async fn everything_that_raises_waits_for_a_person_who_was_there_within_five_minutes() {
    let mut scene = scene(STEP_UP_S).await;
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (what, answer) in scene.raised_on_pages().await {
        seen.insert(what);
        let waits = answer.status == StatusCode::FORBIDDEN && answer.body.contains("Is it you?");
        let leads = answer.status == StatusCode::SEE_OTHER && answer.location().starts_with("/step-up");
        assert!(waits || leads, "{what}: {} {}", answer.status, answer.body);
    }
    for (what, (status, answer)) in scene.raised_by_calls().await {
        seen.insert(what);
        assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("step_up_required")), "{what}: {answer}");
        assert!(answer["details"]["url"].as_str().is_some_and(|url| url.starts_with("http://localhost:4000/")), "{what}: {answer}");
    }
    // whatever is made to wait is in this table
    let all: BTreeSet<&str> = ALL.iter().filter(|rule| rule.step_up).map(|rule| rule.name).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn nothing_of_it_waits_a_second_earlier() {
    let mut scene = scene(STEP_UP_S - 3).await;
    for (what, (_, answer)) in scene.raised_by_calls().await {
        assert_ne!(answer["code"], "step_up_required", "{what}: {answer}");
    }
    for (what, answer) in scene.raised_on_pages().await {
        assert!(!answer.body.contains("Is it you?"), "{what}: {}", answer.body);
    }
}

#[tokio::test]
async fn what_stops_or_lowers_never_waits() {
    let mut scene = scene(1_800).await;
    let (agent, grant, approval) = (scene.agent.clone(), scene.grant.clone(), scene.approval.clone());
    let digest = Sha256Digest::of(REQUEST.as_bytes()).to_string();
    let (freeze, revoke, approve) =
        (format!("/agents/{agent}/freeze"), format!("/grants/{grant}/revoke"), format!("/approvals/{approval}"));
    let lower: [(&str, &[(&str, &str)]); 7] = [
        (&freeze, &[]),
        ("/limits", &[("agent", &agent), ("provider", ""), ("amount", "1.00")]),
        ("/limits/ceilings", &[("scope", "organisation"), ("subject", ""), ("period", "month"), ("amount", "5"), ("currency", "USD")]),
        (&approve, &[("digest", &digest), ("decision", "deny")]),
        (&revoke, &[]),
        ("/security/sessions/end", &[]),
        ("/sign-out", &[]),
    ];
    for (path, fields) in lower {
        let done = scene.press(path, fields).await;
        let well = matches!(done.status, StatusCode::SEE_OTHER | StatusCode::OK) && !done.body.contains("Is it you?");
        assert!(well, "{path}: {} {}", done.status, done.body);
    }
}

#[tokio::test]
async fn a_terminal_freezes_without_being_asked_again() {
    let scene = scene(STEP_UP_S + 1).await;
    let frozen = scene.call("POST", &format!("/v1/agents/{}/freeze", scene.agent), json!({})).await;
    assert_eq!(frozen.0, StatusCode::OK, "{}", frozen.1);
}
