//! Ways to get at somebody else's login, account or money that need that somebody's help. The company's and the provider's are beside
//! what they attack (`sso_company.rs`; slipway's in `tests/tests/slipway/takeover.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use http::{HeaderValue, StatusCode};
use purser_identity::SignUp;
use world::{Browser, World};

fn session_of(browser: &Browser) -> Vec<(String, String)> {
    let all = browser.cookies.iter().map(|(name, value)| (name.clone(), value.clone()));
    all.filter(|(name, _)| name.contains("session")).collect()
}

#[tokio::test]
async fn login_csrf_puts_no_card_of_the_victim_into_the_attackers_account() {
    let world = World::new().await;
    // The attacker has a page of their own and a good code for it.
    let mut eve = world.browser();
    let page = eve.get("/sign-in?next=/card").await;
    let sent = eve.submit(&page, 0, &[("email", "eve@example.test")], None).await;
    let (action, mut fields) = eve.get(sent.location()).await.form(0);
    fields.retain(|(name, _)| name != "code");
    fields.push(("code".to_owned(), world.last_code("eve@example.test").await));

    // The victim's browser is made to send it, from the attacker's page or by a program that hides where it comes from.
    let mut ada = world.person("ada@example.test").await;
    for victim in [world.browser(), ada.clone()] {
        for origin in [Some("https://evil.test"), Some("null"), None] {
            let mut made_to = victim.clone();
            if let Some(origin) = origin {
                made_to.headers.insert("origin", HeaderValue::from_static(origin));
            }
            let answer = made_to.post(&action, &fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin:?}: {}", answer.body);
            assert_eq!(session_of(&made_to), session_of(&victim), "{origin:?}");
        }
    }

    // So the card goes where the victim is signed in, and the attacker, who uses the code, has none.
    let card = ada.get("/card").await;
    let add = card.body.matches("<form").count() - 1;
    let choices = ada.submit(&card, add, &[], None).await.location().to_owned();
    let choices = ada.get(&choices).await;
    let back = ada.submit(&choices, choices.body.matches("<form").count() - 1, &[("card", "4242")], None).await.location().to_owned();
    assert_eq!(ada.get(&back).await.location(), "/card");
    assert!(ada.get("/card").await.body.contains("ending in 4242"));
    assert_eq!(eve.post(&action, &fields).await.location(), "/card");
    assert!(eve.get("/card").await.body.contains("There is no card on file"));
}

#[tokio::test]
async fn device_code_phishing_is_stopped_by_the_code_that_only_the_terminal_shows() {
    let world = World::with("https://purser.example.test", false, SignUp::Open).await;
    let phisher = world.agent();
    let asked = phisher.ask(&[("project", "shop"), ("providers", "slipway")]).await;
    let link = format!("/device?user_code={}", asked["user_code"].as_str().unwrap());
    let mut ada = world.person("ada@example.test").await;
    let page = ada.get(&link).await;
    assert!(page.body.contains("not verified") && page.body.contains("if somebody sent you here, press Deny"), "{}", page.body);
    assert!(!page.body.contains(asked["user_code"].as_str().unwrap()), "the link types the code for the victim");
    let form = (0..4).find(|i| page.form(*i).0 == "/device").unwrap();
    let pressed = ada.submit(&page, form, &[("user_code", "")], Some(("decision", "accept"))).await;
    assert_eq!(pressed.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", pressed.body);
    assert_eq!(phisher.poll(&asked).await.1["error"], "authorization_pending");
    let denied = ada.submit(&page, form, &[], Some(("decision", "deny"))).await;
    assert_eq!(denied.status, StatusCode::SEE_OTHER, "{}", denied.body);
    assert_eq!(phisher.poll(&asked).await.1["error"], "access_denied");
}
