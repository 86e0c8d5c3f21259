//! Proving once more that it is oneself: what waits for it, what does not, and what it is worth in other hands.

use crate::world::{Answer, Browser, World};
use http::StatusCode;

const ADA: &str = "ada@example.test";

/// A person whose sign-in is six minutes old, and the page that asks them to confirm.
async fn stale(world: &World) -> (Browser, Answer) {
    let mut person = world.person(ADA).await;
    world.clock.advance_secs(360);
    let asked = person.get("/step-up?next=/agents").await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    (person, asked)
}

fn session(browser: &Browser) -> String {
    browser.cookies["purser-session"].clone()
}

#[tokio::test]
async fn thawing_waits_for_a_step_up_and_freezing_and_revoking_never_do() {
    let world = World::new().await;
    let mut person = world.person(ADA).await;
    let (_, tokens) = world.granted(&mut person).await;
    let (agent, grant) = (tokens["agent_id"].as_str().unwrap().to_owned(), tokens["grant_id"].as_str().unwrap().to_owned());
    world.clock.advance_secs(360);
    let (_, fields) = person.get("/agents").await.form(1);
    assert_eq!(person.post(&format!("/agents/{agent}/freeze"), &fields).await.location(), "/agents");
    let asked = person.post(&format!("/agents/{agent}/thaw"), &fields).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    assert!(person.get("/agents").await.body.contains("Frozen since"), "thawed without a step-up");
    assert_eq!(person.post(&format!("/grants/{grant}/revoke"), &fields).await.location(), "/agents");
    let done = person.step_up(&world, ADA, &asked).await;
    assert_eq!(person.submit(&done, 1, &[], None).await.location(), "/agents");
    assert!(!person.get("/agents").await.body.contains("Frozen since"));
    // and it counts for five minutes, without being asked again
    assert_eq!(person.get("/step-up?next=/card").await.location(), "/card");
    world.clock.advance_secs(300);
    assert_eq!(person.get("/step-up?next=/card").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_step_up_makes_the_session_anew_and_a_copied_cookie_is_worth_nothing_after_it() {
    let world = World::new().await;
    let (mut person, asked) = stale(&world).await;
    let (before, mut copy) = (session(&person), person.clone());
    let done = person.step_up(&world, ADA, &asked).await;
    assert_eq!(done.location(), "/agents");
    assert_ne!(session(&person), before);
    assert!(copy.get("/agents").await.location().starts_with("/sign-in"), "the old cookie still opens the account");
    // a form from before it is not taken either
    assert_eq!(person.submit(&asked, 0, &[], None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_sign_in_ends_the_session_that_the_browser_had() {
    let world = World::new().await;
    // somebody plants their own session in the victim's browser and waits for the victim to sign in
    let planted = world.person("eve@example.test").await;
    let mut victim = world.browser();
    victim.cookies.extend(planted.cookies.clone());
    let out = victim.get("/").await;
    victim.cookies.retain(|name, _| !name.contains("attempt"));
    assert!(out.body.contains("eve@example.test"));
    let mut page = victim.clone();
    page.cookies.retain(|name, _| !name.contains("session"));
    let form = page.get("/sign-in").await;
    victim.cookies.extend(page.cookies.clone());
    let sent = victim.submit(&form, 0, &[("email", ADA)], None).await;
    world.clock.advance_secs(1);
    let code_page = victim.get(sent.location()).await;
    let code = world.last_code(ADA).await;
    victim.submit(&code_page, 0, &[("code", &code)], None).await;
    assert_ne!(session(&victim), planted.cookies["purser-session"]);
    assert!(planted.clone().get("/agents").await.location().starts_with("/sign-in"), "the planted session lives on");
    assert!(victim.get("/").await.body.contains(ADA));
}

#[tokio::test]
async fn five_wrong_tries_end_a_code_and_codes_are_few() {
    let world = World::new().await;
    let (mut person, asked) = stale(&world).await;
    world.clock.advance_secs(1);
    let sent = person.submit(&asked, 1, &[], None).await;
    let code = world.last_code(ADA).await;
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    for left in (0..5).rev() {
        let answer = person.submit(&sent, 1, &[("code", &wrong)], None).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let left = if left == 1 {
            "one more try".to_owned()
        } else if left == 0 {
            "is over".to_owned()
        } else {
            format!("{left} more tries")
        };
        assert!(answer.body.contains(&left), "{}", answer.body);
    }
    let late = person.submit(&sent, 1, &[("code", &code)], None).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert!(late.body.contains("sign_in_over"), "{}", late.body);
    for n in 1..6 {
        let answer = person.submit(&asked, 1, &[], None).await;
        assert_eq!(answer.status == StatusCode::OK, n < 5, "code {n}: {}", answer.status);
    }
}

#[tokio::test]
async fn a_newer_code_voids_the_one_before_and_no_other_session_can_use_it() {
    let world = World::new().await;
    let (mut person, asked) = stale(&world).await;
    world.clock.advance_secs(1);
    person.submit(&asked, 1, &[], None).await;
    let first = world.last_code(ADA).await;
    world.clock.advance_secs(1);
    let sent = person.submit(&asked, 1, &[], None).await;
    let second = world.last_code(ADA).await;
    let mut thief = world.person(ADA).await;
    world.clock.advance_secs(360);
    let theirs = thief.get("/step-up").await;
    let token = ("csrf", theirs.form(0).1[0].1.clone());
    let stolen = thief.post("/step-up/code", &[("csrf".to_owned(), token.1), ("code".to_owned(), second.clone())]).await;
    assert_eq!(stolen.status, StatusCode::UNAUTHORIZED, "{}", stolen.body);
    if first != second {
        assert_eq!(person.submit(&sent, 1, &[("code", &first)], None).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(person.submit(&sent, 1, &[("code", &second)], None).await.location(), "/agents");
}

#[tokio::test]
async fn a_kept_form_is_of_no_use_to_anybody_else_nor_for_ever_and_leads_nowhere_else() {
    let world = World::new().await;
    let (mut person, _) = stale(&world).await;
    world.granted(&mut world.person("eve@example.test").await).await;
    let page = person.get("/card").await;
    let refused = person.submit(&page, page.body.matches("<form").count() - 1, &[("card", "4242")], None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let kept = refused.form(1).1.into_iter().find(|(name, _)| name == "resume").unwrap().1;
    assert!(!kept.is_empty() && !kept.contains("4242"));

    let mut eve = world.person("eve@example.test").await;
    world.clock.advance_secs(360);
    let hers = eve.get("/step-up").await;
    world.clock.advance_secs(1);
    let sent = eve.submit(&hers, 1, &[("resume", &kept), ("next", "//evil.test")], None).await;
    let code = world.last_code("eve@example.test").await;
    let done = eve.submit(&sent, 1, &[("code", &code)], None).await;
    assert_eq!(done.location(), "/", "another person's form was shown, or another site");

    world.clock.advance_secs(901);
    let late = person.step_up(&world, ADA, &refused).await;
    assert_eq!(late.location(), "/", "an old form was shown");
}

#[tokio::test]
async fn a_terminal_is_fresh_only_by_its_own_sign_in() {
    let world = World::new().await;
    let mut person = world.person(ADA).await;
    let (terminal, token) = world.terminal(&mut person).await;
    let add = async || {
        let body = world.api(Some((&terminal, &token)), "POST", "/v1/payment_methods", "application/json", "{}".to_owned()).await;
        (body.1["code"].as_str().unwrap().to_owned(), body.1["details"]["url"].as_str().unwrap().to_owned())
    };
    assert_eq!(add().await.0, "page_required");
    world.clock.advance_secs(301);
    let step_up = ("step_up_required".to_owned(), "http://localhost:4000/card".to_owned());
    assert_eq!(add().await, step_up);
    let asked = person.get("/step-up?next=/").await;
    person.step_up(&world, ADA, &asked).await;
    assert_eq!(add().await, step_up, "the browser's step-up made the terminal fresh");
}

#[tokio::test]
async fn a_person_sees_secrets_only_when_they_were_there_just_now_and_an_agent_as_its_grant_says() {
    let world = World::new().await;
    let mut person = world.person(ADA).await;
    let (agent, tokens) = world.granted(&mut person).await;
    world.resource(&agent, &tokens, "slipway").await;
    let (terminal, token) = world.terminal(&mut person).await;
    let agents_token = tokens["access_token"].as_str().unwrap();
    let export = async |who: (&crate::world::Agent, &str)| {
        let body = r#"{"project":"shop","environment":"development"}"#.to_owned();
        let (status, answer) = world.api(Some(who), "POST", "/v1/variables/export", "application/json", body).await;
        (status, answer["code"].as_str().map(str::to_owned))
    };
    assert_eq!(export((&terminal, &token)).await, (StatusCode::OK, None));
    world.clock.advance_secs(300);
    assert_eq!(export((&terminal, &token)).await, (StatusCode::FORBIDDEN, Some("step_up_required".to_owned())));
    let (_, refused) = export((&agent, agents_token)).await;
    assert_eq!(refused.as_deref(), Some("export_not_granted"));
}
