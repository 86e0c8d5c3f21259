//! Pages tell people what is so, offer them what they may do, and show the way out of a refusal.

use crate::world::World;
use crate::world::company::Company;
use http::StatusCode;
use serde_json::json;

const HELPER: &str = r#"[{"type":"purser_grant","delegate":true}]"#;

/// The card of one agent on the page.
fn card<'a>(page: &'a crate::world::Answer, id: &str) -> &'a str {
    let at = page.body.find(&format!("class=\"card\" id=\"{id}\"")).expect("the agent is on the page");
    page.body[at..].split("</section>").next().unwrap()
}

#[tokio::test]
async fn a_helper_of_a_frozen_agent_is_shown_as_stopped_and_only_by_that_one() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    let helper = world.agent();
    let (status, own) = agent.let_in(&tokens, &helper, HELPER).await;
    assert_eq!(status, StatusCode::OK, "{own}");
    let context = world.call(&helper, own["access_token"].as_str().unwrap()).await.unwrap();
    let (below, above) = match &context.caller {
        purser_authority::Caller::Agent { agent, chain, .. } => (agent.to_string(), chain[0].agent.to_string()),
        other => panic!("{other:?}"),
    };
    let (terminal, token) = world.terminal(&mut ada).await;
    let listed = async || {
        let (_, listed) = world.api(Some((&terminal, &token)), "GET", "/v1/agents", "", String::new()).await;
        listed["agents"].as_array().unwrap().iter().find(|agent| agent["id"] == below.as_str()).unwrap().clone()
    };
    let before = ada.get("/agents").await;
    assert!(!before.body.contains("stopped with") && listed().await["stopped_with"].is_null(), "{}", before.body);
    assert!(card(&before, &below).contains(&format!("href=\"#{above}\"><q>")), "the agent above has a name: {}", before.body);

    let (at, csrf) = (format!("/agents/{above}/freeze"), before.form(0).1.remove(0));
    assert_eq!(ada.post(&at, &[csrf]).await.status, StatusCode::SEE_OTHER);
    let frozen = ada.get("/agents").await;
    assert!(card(&frozen, &above).contains(">frozen<") && !card(&frozen, &above).contains("stopped with"), "{}", frozen.body);
    assert!(card(&frozen, &below).contains("stopped with <q>") && card(&frozen, &below).contains("does nothing while"), "{}", frozen.body);
    assert_eq!(listed().await["stopped_with"]["id"], above.as_str());

    // what is ended above is ended below, and a grant that ended is stopped with nobody
    let grant = tokens["grant_id"].as_str().unwrap();
    let csrf = frozen.form(0).1.remove(0);
    assert_eq!(ada.post(&format!("/grants/{grant}/revoke"), &[csrf]).await.status, StatusCode::SEE_OTHER);
    let ended = ada.get("/agents").await;
    assert!(!card(&ended, &below).contains("in force until") && !card(&ended, &below).contains("stopped with"), "{}", ended.body);
    assert_eq!(listed().await["grants"][0]["in_force"], false);
}

#[tokio::test]
async fn whoever_only_looks_is_offered_no_button_on_the_agents_page() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    world.granted(&mut ada).await;
    let shown = ada.get("/agents").await;
    assert!(shown.body.contains(">Freeze<") && shown.body.contains("End this grant"), "{}", shown.body);
    let update = "update membership set role = 'auditor'";
    world.front.core.db.write::<_, purser_db::DbError, _>(move |tx| tx.execute(update, purser_db::params![])).await.unwrap();
    let shown = ada.get("/agents").await;
    assert!(shown.body.contains("in force until"), "{}", shown.body);
    for button in [">Freeze<", ">Thaw<", "End this grant"] {
        assert!(!shown.body.contains(button), "{button}: {}", shown.body);
    }
}

#[tokio::test]
async fn the_log_speaks_of_people_and_agents_by_their_names() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (_, tokens) = world.granted(&mut ada).await;
    let page = ada.get("/events").await;
    for shown in [
        "Decide whether an agent may act",
        "person <a href=\"/organisation/members/per_",
        ">ada@example.test</a>",
        "terms of slipway, version",
    ] {
        assert!(page.body.contains(shown), "`{shown}`: {}", page.body);
    }
    let grant = tokens["grant_id"].as_str().unwrap();
    assert!(ada.get("/agents").await.body.contains(&format!("id=\"{grant}\"")), "the log links to a grant that is not there");
    let over = ada.get("/events?before=-1").await;
    assert!(over.body.contains("Nothing happened before that entry"), "{}", over.body);
    // somebody else's names are not told
    let mut eve = world.person("eve@example.test").await;
    assert!(!eve.get("/events").await.body.contains("ada@example.test"));
}

#[tokio::test]
async fn the_page_after_a_decision_claims_nothing_to_somebody_who_only_opens_it() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    for forged in ["/device/done?as=granted", "/device/done?as=granted&word=x", "/device/done?as=let-in&word=", "/device/done"] {
        let page = ada.get(forged).await;
        assert!(page.body.contains("Nothing was decided here") && !page.body.contains("Accepted"), "{forged}: {}", page.body);
    }
    let agent = world.agent();
    let asked = agent.ask(&[("project", "shop"), ("providers", "slipway")]).await;
    let page = ada.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
    let at = (0..page.body.matches("<form").count()).find(|at| page.form(*at).0 == "/device").unwrap();
    let denied = ada.submit(&page, at, &[], Some(("decision", "deny"))).await;
    assert!(ada.get(denied.location()).await.body.contains("<h1>Denied</h1>"), "{}", denied.location());
    // its word is for this outcome and this browser
    let other = denied.location().replace("as=denied", "as=granted");
    assert!(ada.get(&other).await.body.contains("Nothing was decided here"));
    let mut eve = world.person("eve@example.test").await;
    assert!(eve.get(denied.location()).await.body.contains("Nothing was decided here"));
}

#[tokio::test]
async fn a_mailed_link_that_was_cut_is_answered_like_one_that_nobody_knows() {
    let world = World::new().await;
    for path in ["/bootstrap", "/invitation", "/revoke", "/security/undo"] {
        let (cut, unknown) = (world.browser().get(path).await, world.browser().get(&format!("{path}?token=x")).await);
        assert_eq!((cut.status, &cut.body), (unknown.status, &unknown.body), "{path}");
    }
}

#[tokio::test]
async fn a_refusal_leaves_a_signed_in_person_their_pages_and_speaks_in_sentences() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let refused = ada.get("/spend?month=0000-01").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for shown in ["aria-label=\"Pages\"", "ada@example.test", "<code>0000-01</code>"] {
        assert!(refused.body.contains(shown), "`{shown}`: {}", refused.body);
    }
    assert!(!refused.body.contains('`') && !refused.body.contains("send it again"), "{}", refused.body);
    let stranger = world.browser().get("/revoke?token=x").await;
    assert!(!stranger.body.contains("aria-label=\"Pages\""), "{}", stranger.body);
    // the page that is open says so
    assert!(ada.get("/limits").await.body.contains("<a href=\"/limits\" aria-current=\"page\">"));
}

#[tokio::test]
async fn what_only_people_do_is_refused_to_an_agent_whatever_it_sends_and_is_in_the_log() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let token = tokens["access_token"].as_str().unwrap();
    for (path, verb) in
        [("/v1/workload_trusts", "workload_trust_add"), ("/v1/approvals/apr_00000000000000000000000000/decide", "approval_decide")]
    {
        let (status, said) = world.api(Some((&agent, token)), "POST", path, "application/json", "{}".to_owned()).await;
        assert_eq!((status, said["code"].as_str()), (StatusCode::FORBIDDEN, Some("agent_not_allowed")), "{said}");
        let log = ada.get("/events").await;
        assert!(log.body.contains(&format!("<code>{verb}</code>")) && log.body.contains("refused: agent_not_allowed"), "{}", log.body);
    }
}

#[tokio::test]
async fn whoever_came_with_the_wrong_company_account_can_come_with_another() {
    let mut world = World::with("http://localhost:4000", true, purser_identity::SignUp::Invite).await;
    let mut company = Company::start("acme", &world.env).await;
    company.required = true;
    world.sign_in_through(&[&company]);
    let mut bob = world.browser();
    let refused = company.sign_in(&mut bob, "bob", &[]).await;
    assert!(refused.status == StatusCode::FORBIDDEN && refused.body.contains("sso_not_admitted"), "{}", refused.body);
    let (action, fields) = refused.form(0);
    assert_eq!(action, "/sign-in/sso/acme");
    let away = bob.post(&action, &fields).await;
    assert!(away.body.contains("prompt=login"), "the company would bring the same account back: {}", away.body);
    // the usual way asks the company nothing
    let page = bob.get("/sign-in").await;
    let usual = (0..page.body.matches("<form").count()).find(|at| page.form(*at).0 == "/sign-in/sso/acme").unwrap();
    assert!(!bob.submit(&page, usual, &[], None).await.body.contains("prompt="));
    // an account whose address is not verified may be the wrong one too
    let refused = company.sign_in(&mut bob, "bob", &[("email_verified", json!(false))]).await;
    assert!(refused.body.contains("Use another account at"), "{}", refused.body);
}
