//! Ways to get at somebody else's login, account or money that need that somebody's help. The company's and the provider's are beside
//! what they attack (`sso_company.rs`; slipway's in `tests/tests/slipway/takeover.rs`).

use crate::world::{Answer, Browser, World};
use http::{HeaderValue, StatusCode};
use purser_identity::SignUp;

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

/// How many agents the login has that a browser is signed in to.
async fn agents_of(browser: &mut Browser) -> usize {
    browser.get("/agents").await.body.matches("/freeze\"").count()
}

#[tokio::test]
async fn case_plus_dot_and_unicode_never_make_two_logins_one_or_one_two() {
    let world = World::new().await;
    let mut ada = world.person("ada.l@example.test").await;
    world.granted(&mut ada).await;
    assert_eq!(agents_of(&mut ada).await, 1);
    for same in ["ADA.L@example.test", "ada.l@EXAMPLE.TEST", " ada.l@example.test "] {
        let mut again = world.browser();
        let page = again.get("/sign-in").await;
        let sent = again.submit(&page, 0, &[("email", same)], None).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "`{same}`: {}", sent.body);
        let page = again.get(sent.location()).await;
        let code = world.last_code("ada.l@example.test").await;
        again.submit(&page, 0, &[("code", &code)], None).await;
        assert_eq!(agents_of(&mut again).await, 1, "`{same}` is another login");
        world.clock.advance_secs(1);
    }
    for other in ["ada.l+x@example.test", "adal@example.test", "a.da.l@example.test", "ada.l@xn--exmple-cua.test"] {
        assert_eq!(agents_of(&mut world.person(other).await).await, 0, "`{other}` reached the login of another address");
    }
    for unicode in ["аda.l@example.test", "ada.l@exаmple.test", "ａda.l@example.test", "ada.l\u{200b}@example.test"] {
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let refused = browser.submit(&page, 0, &[("email", unicode)], None).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "`{unicode}` was taken for an address");
    }
}

#[tokio::test]
async fn a_consent_page_cannot_be_framed_and_an_accept_from_elsewhere_is_refused() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let mut eve = world.person("eve@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&[("project", "shop"), ("providers", "slipway")]).await;
    let address = format!("/device?user_code={}", asked["user_code"].as_str().unwrap());
    let page = ada.get(&address).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
    // the form as the attacker has it: their own token, none, or the victim's page sent from another site
    let own = eve.get(&address).await.form(1).1.into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    for change in [[("csrf", own.as_str())], [("csrf", "")], [("-csrf", "")]] {
        let forged = ada.submit(&page, 1, &change, Some(("decision", "accept"))).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{change:?}: {}", forged.body);
    }
    for (name, value) in [("origin", "https://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let mut made_to = ada.clone();
        made_to.headers.insert(name, HeaderValue::from_static(value));
        let forged = made_to.submit(&page, 1, &[], Some(("decision", "accept"))).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{name}: {value}: {}", forged.body);
    }
    assert_eq!(agent.poll(&asked).await.1["error"], "authorization_pending");
    assert_eq!(agents_of(&mut ada).await, 0);
    assert_eq!(ada.submit(&page, 1, &[], Some(("decision", "accept"))).await.status, StatusCode::SEE_OTHER);
    assert_eq!(agent.poll(&asked).await.0, StatusCode::OK);
}

/// The form of a page with this action, with all that it would send.
fn form_of(page: &Answer, action: &str) -> Vec<(String, String)> {
    let forms = (0..page.body.matches("<form").count()).map(|at| page.form(at));
    forms.into_iter().find(|(to, _)| to == action).unwrap_or_else(|| panic!("no form for {action} in {}", page.body)).1
}

fn with(fields: &[(String, String)], change: &[(&str, &str)]) -> Vec<(String, String)> {
    let rest = fields.iter().filter(|(name, _)| change.iter().all(|(changed, _)| name != changed)).cloned();
    rest.chain(change.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
}

#[tokio::test]
async fn consent_and_approval_are_taken_from_our_form_in_the_browser_that_it_was_shown_to_and_from_no_frame() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let approval = format!("/approvals/{}", world.approval(&agent, &tokens).await);
    let asks = world.agent();
    let asked = asks.ask(&[("project", "blog"), ("providers", "slipway")]).await;
    let device = format!("/device?user_code={}", asked["user_code"].as_str().unwrap());
    // The same person in another browser, and somebody else: their pages have tokens too.
    let (mut other, mut eve) = (world.person("ada@example.test").await, world.person("eve@example.test").await);
    let token = |page: &Answer| form_of(page, "/sign-out").into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    let foreign = [token(&other.get("/agents").await), token(&eve.get("/agents").await)];

    for (path, action, yes) in [(device.as_str(), "/device", "accept"), (approval.as_str(), approval.as_str(), "approve")] {
        let page = ada.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{path}: {policy}");
        assert_eq!(page.headers["x-frame-options"], "DENY", "{path}");

        let real = with(&form_of(&page, action), &[("decision", yes)]);
        let missing: Vec<_> = real.iter().filter(|(name, _)| name != "csrf").cloned().collect();
        let mut forged = vec![("no token", None, missing), ("an empty token", None, with(&real, &[("csrf", "")]))];
        forged.extend(foreign.iter().map(|token| ("another browser's token", None, with(&real, &[("csrf", token)]))));
        let headers =
            [("origin", "https://evil.test"), ("origin", "null"), ("origin", "http://localhost:4001"), ("sec-fetch-site", "cross-site")];
        forged.extend(headers.map(|header| ("sent from elsewhere", Some(header), real.clone())));
        for (what, header, fields) in forged {
            let mut made_to = ada.clone();
            if let Some((name, value)) = header {
                made_to.headers.insert(name, HeaderValue::from_static(value));
            }
            let refused = made_to.post(action, &fields).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{action}, {what} {header:?}: {}", refused.body);
            assert!(refused.body.contains("form_not_ours"), "{action}, {what} {header:?}: {}", refused.body);
        }
        // Nothing was decided by any of these: what is decided cannot be decided again.
        let decided = ada.post(action, &real).await;
        assert_eq!(decided.status, StatusCode::SEE_OTHER, "{action}: {}", decided.body);
        assert!(!decided.location().starts_with("/sign-in"), "{action}");
    }
    assert_eq!(asks.poll(&asked).await.0, StatusCode::OK);
    let state = "select state from approval";
    let read = move |tx: &mut purser_db::Tx<'_>| tx.query_one(state, purser_db::params![])?.get::<String>("state");
    assert_eq!(world.front.core.db.read::<_, purser_db::DbError, _>(read).await.unwrap(), "approved");
}
