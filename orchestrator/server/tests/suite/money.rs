//! Limits, card and spend, as a person sees and changes them in a browser.

use crate::world::purchase::Sale;
use crate::world::{Agent, Browser, World};
use http::{StatusCode, header};
use purser_authority::action::RefundCreate;
use purser_authority::{Caller, Facts, authorise};
use purser_spend::rail::RefundOutcome;
use purser_spend::refund::{self, RefundAsk, RefundStep};
use purser_values::id::AgentId;
use purser_values::{Currency, Money};
use serde_json::Value;

/// What the orchestrator thinks of the agent with these tokens.
async fn caller(world: &World, agent: &Agent, tokens: &Value) -> Caller {
    world.call(agent, tokens["access_token"].as_str().unwrap()).await.unwrap().caller
}

/// A purchase that the provider has charged.
async fn bought(world: &World, caller: &Caller, minor: i64, description: &str) {
    world.bought(caller, Sale { provider: "slipway", lines: &["a"], minor, description: description.to_owned() }).await;
}

async fn setup() -> (World, Browser, Caller) {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut person).await;
    let caller = caller(&world, &agent, &tokens).await;
    (world, person, caller)
}

fn id_of(caller: &Caller) -> AgentId {
    caller.agent().unwrap().clone()
}

#[tokio::test]
async fn the_limits_page_shows_cap_spent_and_left_and_changes_them() {
    let (world, mut person, agent) = setup().await;
    bought(&world, &agent, 5_00, "plan").await;
    let page = person.get("/limits").await;
    assert_eq!(page.status, StatusCode::OK);
    for shown in
        ["Builder", "name not verified", "slipway", "USD 100.00", "USD 5.00", "<strong>USD 95.00</strong>", "2026-11", "2026-12-01"]
    {
        assert!(page.body.contains(shown), "`{shown}` is missing in {}", page.body);
    }
    let after = person.submit(&page, 2, &[("amount", "5.50")], None).await;
    assert_eq!((after.status, after.location()), (StatusCode::SEE_OTHER, "/limits"));
    let page = person.get("/limits").await;
    assert!(
        page.body.contains("<strong>USD 0.50</strong>") && page.body.contains("its own") && page.body.contains("90 %"),
        "{}",
        page.body
    );
    person.submit(&page, 1, &[("amount", "7")], None).await;
    let page = person.get("/limits").await;
    assert!(page.body.contains("USD 5.50") && page.body.contains("value=\"7.00\""), "the provider's own stays: {}", page.body);
}

#[tokio::test]
async fn what_is_not_an_amount_changes_nothing_and_says_so() {
    let (_world, mut person, _) = setup().await;
    let page = person.get("/limits").await;
    for bad in ["", "-1", "1.234", "ten", "99999999999999999999"] {
        let answer = person.submit(&page, 1, &[("amount", bad)], None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "`{bad}`");
        assert!(answer.body.contains("100.00"), "the hint is missing");
    }
    let answer = person.submit(&page, 1, &[("amount", "1"), ("csrf", "forged")], None).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(person.get("/limits").await.body.contains("value=\"100.00\""));
}

#[tokio::test]
async fn raising_wants_a_person_who_was_there_just_now_and_lowering_does_not() {
    let (world, mut person, _) = setup().await;
    let page = person.get("/limits").await;
    world.clock.advance_secs(11 * 3600);
    let raise = person.submit(&page, 1, &[("amount", "200")], None).await;
    assert_eq!(raise.status, StatusCode::FORBIDDEN);
    assert!(raise.body.contains("Is it you?"), "{}", raise.body);
    let lower = person.submit(&page, 1, &[("amount", "20")], None).await;
    assert_eq!(lower.location(), "/limits");
    assert!(person.get("/limits").await.body.contains("value=\"20.00\""));
    let done = person.step_up(&world, "ada@example.test", &raise).await;
    assert_eq!(person.submit(&done, 1, &[], None).await.location(), "/limits");
    assert!(person.get("/limits").await.body.contains("value=\"200.00\""), "what was typed before is done after");
}

#[tokio::test]
async fn to_a_stranger_no_agent_card_or_charge_exists() {
    let (world, mut person, agent) = setup().await;
    bought(&world, &agent, 5_00, "plan").await;
    let own = person.get("/limits").await;
    let cards = person.get("/card").await;
    let mut stranger = world.person("eve@example.test").await;
    let token = stranger.get("/card").await.form(0).1.remove(0).1;
    let forged = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        fields.chain([("csrf".to_owned(), token.clone())]).collect::<Vec<_>>()
    };
    let raise = stranger.post("/limits", &forged(&[("agent", id_of(&agent).as_str()), ("provider", ""), ("amount", "900")])).await;
    assert_eq!(raise.status, StatusCode::NOT_FOUND);
    for action in ["confirm", "remove"] {
        let path = cards.body.split("action=\"").find(|part| part.starts_with("/card/pmt_")).unwrap();
        let id = path.trim_start_matches("/card/").split('/').next().unwrap();
        let answer = stranger.post(&format!("/card/{id}/{action}"), &forged(&[])).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{action}");
    }
    assert!(!stranger.get("/limits").await.body.contains(id_of(&agent).as_str()));
    assert!(stranger.get("/spend").await.body.contains("There are no charges"));
    assert_eq!(stranger.get("/spend.csv").await.body.lines().count(), 1);
    assert_eq!(person.get("/limits").await.body, own.body, "nothing has changed");
}

#[tokio::test]
async fn a_card_is_added_confirmed_and_removed_and_no_number_is_ever_asked_for() {
    let (_world, mut person, _) = setup().await;
    let page = person.get("/card").await;
    assert!(page.body.contains("visa ending in 4242") && !page.body.contains("type=\"text\""), "{}", page.body);
    let forms = page.body.matches("<form").count();
    let choices = person.submit(&page, forms - 1, &[], None).await.location().to_owned();
    let choices = person.get(&choices).await;
    assert!(choices.body.contains("stands for the processor") && !choices.body.contains("type=\"text\""), "{}", choices.body);
    let form = choices.body.matches("<form").count() - 1;
    let number = person.submit(&choices, form, &[("card", "4242424242424242")], None).await;
    assert_eq!(number.status, StatusCode::BAD_REQUEST, "a number was taken");
    let back = person.submit(&choices, form, &[("card", "3155")], None).await.location().to_owned();
    assert_eq!(person.get(&back).await.location(), "/card");
    assert_eq!(person.get(&back).await.location(), "/card", "coming back twice adds one card");
    let page = person.get("/card").await;
    assert!(page.body.contains("visa ending in 3155") && page.body.contains("waits for you"));
    let confirm = (0..4).find(|i| page.form(*i).0.ends_with("/confirm")).unwrap();
    person.submit(&page, confirm, &[], None).await;
    let page = person.get("/card").await;
    assert!(!page.body.contains("waits for you"));
    for _ in 0..2 {
        let page = person.get("/card").await;
        let remove = (0..4).find(|i| page.form(*i).0.ends_with("/remove")).unwrap();
        person.submit(&page, remove, &[], None).await;
    }
    assert!(person.get("/card").await.body.contains("There is no card on file"));
}

#[tokio::test]
async fn outside_the_sandbox_there_are_no_sandbox_cards() {
    let world = World::with("https://purser.example", false, purser_identity::SignUp::Open).await;
    let mut person = world.person("ada@example.test").await;
    let page = person.get("/card").await;
    assert!(page.body.contains("No payment processor is set up") && !page.body.contains("4242"), "{}", page.body);
    let token = page.form(0).1.remove(0).1;
    let answer = person.post("/card", &[("csrf".to_owned(), token), ("card".to_owned(), "4242".to_owned())]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(person.get("/sandbox/cards/sbx_x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_month_lists_each_charge_and_downloads_as_csv_that_runs_nothing() {
    let (world, mut person, agent) = setup().await;
    bought(&world, &agent, 5_00, "=cmd|' /C calc'!A0").await;
    bought(&world, &agent, 12_34, "<script>alert(1)</script>, domain").await;
    let page = person.get("/spend").await;
    assert!(page.body.contains("USD 17.34") && page.body.contains("Builder") && page.body.contains("shop"), "{}", page.body);
    assert!(!page.body.contains("<script>"));
    let file = person.get("/spend.csv?month=2026-11").await;
    assert_eq!(file.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"purser-2026-11.csv\"");
    assert_eq!(file.body.lines().count(), 3);
    assert!(file.body.contains(",'=cmd|' /C calc'!A0,USD,5.00,500,succeeded,"), "{}", file.body);
    assert!(file.body.contains("\"<script>alert(1)</script>, domain\",USD,12.34,1234,"), "{}", file.body);
    let before = person.get("/spend?month=2026-10").await;
    assert!(before.body.contains("There are no charges") && before.body.contains("/spend?month=2026-11"));
    assert_eq!(person.get("/spend?month=November").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_came_back_is_a_row_of_its_own_and_the_rows_add_up() {
    let (world, mut person, agent) = setup().await;
    bought(&world, &agent, 5_00, "plan").await;
    let env = world.env.clone();
    let write = world.front.core.db.write(move |tx| -> Result<(), purser_db::DbError> {
        let charge = tx.query_one("select id from spend_charge", purser_db::params![])?.parse("id")?;
        let provider = Caller::Provider { provider: "slipway".parse().unwrap() };
        let permit = authorise::<RefundCreate>(&provider, &Facts::new(env.now(), "x")).unwrap();
        let ask = RefundAsk { key: "r".to_owned(), charge, amount: Money::from_minor(2_00, Currency::USD), reason: "=cmd()".to_owned() };
        let RefundStep::Give(order) = refund::begin(tx, &env, &permit, &ask).unwrap().value else { panic!("it is given") };
        let outcome = RefundOutcome::Refunded { reference: "r".to_owned() };
        drop(refund::finish(tx, &env, &order.refund, &outcome).unwrap());
        Ok(())
    });
    write.await.unwrap();
    let page = person.get("/spend").await;
    for shown in ["USD 3.00</strong>", "USD 2.00 given back", "<h2>Given back</h2>", "=cmd()"] {
        assert!(page.body.contains(shown), "`{shown}` is missing in {}", page.body);
    }
    let file = person.get("/spend.csv").await.body;
    assert!(file.contains(",'=cmd(),USD,-2.00,-200,succeeded,,rfd_"), "{file}");
    let sum: i64 = file.lines().skip(1).map(|row| row.split(',').nth(11).unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(sum, 3_00, "{file}");
    let mut stranger = world.person("eve@example.test").await;
    assert!(!stranger.get("/spend").await.body.contains("Given back"));
}

#[tokio::test]
async fn without_a_session_the_money_pages_lead_to_sign_in() {
    let world = World::new().await;
    for path in ["/limits", "/card", "/spend", "/spend.csv"] {
        let answer = world.browser().get(path).await;
        assert!(answer.location().starts_with("/sign-in?next="), "{path}");
        let posted = world.browser().post(path, &[]).await;
        assert_ne!(posted.status, StatusCode::OK);
    }
}
