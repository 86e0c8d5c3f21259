//! Sign-in, sessions and forms, as browsers and those who misuse them see them.

use crate::world::{Answer, Browser, World};
use http::{HeaderValue, StatusCode, header};
use purser_identity::SignUp;

async fn code_page(world: &World, browser: &mut Browser, email: &str) -> Answer {
    let page = browser.get("/sign-in?next=/agents").await;
    let sent = browser.submit(&page, 0, &[("email", email)], None).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let _ = world;
    browser.get(sent.location()).await
}

fn other(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[tokio::test]
async fn five_wrong_tries_end_a_code_and_the_right_one_comes_too_late() {
    let world = World::new().await;
    let mut browser = world.browser();
    let page = code_page(&world, &mut browser, "ada@example.test").await;
    let code = world.last_code("ada@example.test").await;
    for left in (0..5).rev() {
        let wrong = browser.submit(&page, 0, &[("code", &other(&code))], None).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let left = if left == 1 {
            "one more try".to_owned()
        } else if left == 0 {
            "is over".to_owned()
        } else {
            format!("{left} more tries")
        };
        assert!(wrong.body.contains(&left), "{}", wrong.body);
    }
    let late = browser.submit(&page, 0, &[("code", &code)], None).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert!(late.body.contains("sign_in_over") && late.body.contains("href=\"/sign-in\">Ask for a new code"), "{}", late.body);
}

#[tokio::test]
async fn a_code_works_once_in_the_browser_that_asked_for_ten_minutes() {
    let world = World::new().await;
    let (mut asked, mut thief) = (world.browser(), world.browser());
    let page = code_page(&world, &mut asked, "ada@example.test").await;
    let code = world.last_code("ada@example.test").await;
    // another browser that has begun a sign-in of its own
    let theirs = code_page(&world, &mut thief, "eve@example.test").await;
    assert_eq!(thief.submit(&theirs, 0, &[("code", &code)], None).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = asked.submit(&page, 0, &[("code", &format!("{} {}", &code[..3], &code[3..]))], None).await;
    assert_eq!(done.location(), "/agents");

    let mut again = asked.clone();
    again.cookies.retain(|name, _| !name.contains("session"));
    assert_eq!(again.submit(&page, 0, &[("code", &code)], None).await.status, StatusCode::UNAUTHORIZED);

    world.clock.advance_secs(1);
    let mut slow = world.browser();
    let page = code_page(&world, &mut slow, "ada@example.test").await;
    let code = world.last_code("ada@example.test").await;
    world.clock.advance_secs(601);
    assert_eq!(slow.submit(&page, 0, &[("code", &code)], None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_address_that_is_not_admitted_sees_the_same_pages_and_gets_no_mail() {
    let world = World::with("http://localhost:4000", false, SignUp::Invite).await;
    let mut browser = world.browser();
    let page = code_page(&world, &mut browser, "stranger@example.test").await;
    assert!(page.body.contains("If the address can sign in here"));
    assert!(world.mail_to("stranger@example.test").await.is_empty());
}

/// Asks for a code in the name of an address; whether it was answered as usual.
async fn ask(browser: &mut Browser, email: &str) -> bool {
    let page = browser.get("/sign-in").await;
    browser.submit(&page, 0, &[("email", email)], None).await.status == StatusCode::SEE_OTHER
}

fn from(world: &World, peer: &str) -> Browser {
    let mut browser = world.browser();
    browser.peer = format!("{peer}:1").parse().unwrap();
    browser
}

#[tokio::test]
async fn whoever_asks_too_often_is_refused() {
    let world = World::new().await;
    let mut one = from(&world, "192.0.2.1");
    for n in 0..6 {
        assert_eq!(ask(&mut one, "ada@example.test").await, n < 5, "code {n} for one address");
    }
    let mut many = from(&world, "192.0.2.2");
    for n in 0..31 {
        assert_eq!(ask(&mut many, &format!("p{n}@example.test")).await, n < 30, "code {n}");
    }
}

#[tokio::test]
async fn nobody_can_lock_a_person_out_by_asking_for_codes_in_their_name() {
    let world = World::new().await;
    let mut known = world.person("ada@example.test").await;
    world.clock.advance_secs(3_601);
    // An agent on the person's own machine and helpers elsewhere ask until they are refused.
    let mut agent = world.browser();
    agent.peer = known.peer;
    while ask(&mut agent, "ada@example.test").await {}
    for n in 0..30 {
        assert!(ask(&mut from(&world, &format!("192.0.2.{n}")), "ada@example.test").await, "helper {n} is told that there are too many");
    }
    known.cookies.retain(|name, _| !name.contains("session"));
    known.sign_in(&world, "ada@example.test").await;
    assert!(known.get("/agents").await.status.is_success());
}

#[tokio::test]
async fn an_address_that_is_asked_for_too_often_gets_one_mail_a_minute_and_looks_the_same() {
    let world = World::new().await;
    for n in 0..5 {
        ask(&mut from(&world, &format!("192.0.2.{n}")), "ada@example.test").await;
    }
    assert_eq!(world.mail_to("ada@example.test").await.len(), 5);
    let mut late = from(&world, "198.51.100.1");
    let silent = code_page(&world, &mut late, "ada@example.test").await;
    assert_eq!(world.mail_to("ada@example.test").await.len(), 5, "within a minute");
    let guess = late.submit(&silent, 0, &[("code", "000000")], None).await;
    assert!(guess.status == StatusCode::UNPROCESSABLE_ENTITY && guess.body.contains("4 more tries"), "{}", guess.body);

    world.clock.advance_secs(61);
    let mut person = from(&world, "198.51.100.2");
    let page = code_page(&world, &mut person, "ada@example.test").await;
    assert_eq!(page.status, silent.status);
    let mails = world.mail_to("ada@example.test").await;
    assert_eq!(mails.len(), 6);
    let long = mails[5].lines().map(str::trim).find(|l| l.len() == 10 && l.bytes().all(|b| b.is_ascii_digit())).unwrap();
    assert_eq!(person.submit(&page, 0, &[("code", long)], None).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_mark_of_a_browser_is_for_one_address_and_cannot_be_made_up() {
    let world = World::new().await;
    let eve = world.person("eve@example.test").await;
    for mark in [eve.cookies["purser-known"].clone(), "a.1.b".to_owned(), String::new()] {
        let mut browser = from(&world, "192.0.2.1");
        browser.cookies.insert("purser-known".to_owned(), mark.clone());
        while ask(&mut browser, "ada@example.test").await {}
        let mut again = from(&world, "192.0.2.1");
        again.cookies.insert("purser-known".to_owned(), mark.clone());
        assert!(!ask(&mut again, "ada@example.test").await, "`{mark}` was taken for ada's browser");
    }
}

#[tokio::test]
async fn a_form_without_its_token_or_from_another_site_changes_nothing() {
    let world = World::new().await;
    let mut browser = world.browser();
    let page = browser.get("/sign-in").await;
    for change in [[("csrf", "")], [("csrf", "AAAA")], [("-csrf", "")]] {
        let refused = browser.submit(&page, 0, &[change[0], ("email", "ada@example.test")], None).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{change:?}");
    }
    // the token of one browser is of no use in another
    let mut victim = world.browser();
    victim.get("/sign-in").await;
    assert_eq!(victim.submit(&page, 0, &[("email", "ada@example.test")], None).await.status, StatusCode::FORBIDDEN);

    let mut person = world.person("ada@example.test").await;
    let mut eve = world.person("eve@example.test").await;
    let (_, hers) = eve.get("/").await.form(0);
    assert_eq!(person.post("/sign-out", &hers).await.status, StatusCode::FORBIDDEN);
    let (_, own) = person.get("/").await.form(0);
    for (name, value) in
        [("origin", "https://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        let mut other_site = person.clone();
        other_site.headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(other_site.post("/sign-out", &own).await.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let mut hiding = world.person("ida@example.test").await;
    let (_, fields) = hiding.get("/").await.form(0);
    hiding.headers.insert("origin", HeaderValue::from_static("null"));
    hiding.headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
    assert_eq!(hiding.post("/sign-out", &fields).await.location(), "/sign-in", "a browser that hides its origin");
    person.headers.insert("origin", HeaderValue::from_static("http://localhost:4000"));
    assert_eq!(person.post("/sign-out", &own).await.location(), "/sign-in");
}

#[tokio::test]
async fn a_session_ends_with_sign_out_and_with_time() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let copy = person.clone();
    let (action, fields) = person.get("/").await.form(0);
    person.post(&action, &fields).await;
    assert_eq!(copy.clone().get("/").await.status, StatusCode::SEE_OTHER, "a copied cookie outlives sign-out");

    let mut person = world.person("ada@example.test").await;
    world.clock.advance_secs(12 * 3600 + 1);
    assert_eq!(person.get("/agents").await.location(), "/sign-in?next=%2Fagents");
}

#[tokio::test]
async fn sign_in_goes_on_to_our_own_pages_only() {
    let world = World::new().await;
    for evil in ["https%3A%2F%2Fevil.test", "%2F%2Fevil.test", "%2F%5Cevil.test"] {
        world.clock.advance_secs(1);
        let mut browser = world.browser();
        let page = browser.get(&format!("/sign-in?next={evil}")).await;
        let sent = browser.submit(&page, 0, &[("email", "ada@example.test")], None).await;
        let page = browser.get(sent.location()).await;
        let code = world.last_code("ada@example.test").await;
        let done = browser.submit(&page, 0, &[("code", &code)], None).await;
        assert_eq!(done.location(), "/", "{evil}");
    }
}

#[tokio::test]
async fn pages_carry_strict_headers_and_cookies_are_out_of_reach() {
    let world = World::new().await;
    let mut browser = world.browser();
    let page = browser.get("/sign-in").await;
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    // `no-referrer` would make browsers hide the origin of our own forms, which are then refused
    assert_eq!(page.headers[header::REFERRER_POLICY], "same-origin");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    let cookie = page.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");

    let https = World::with("https://purser.example.test", false, SignUp::Open).await;
    let page = https.browser().get("/sign-in").await;
    let cookie = page.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    assert_eq!(browser.get("/style.css").await.headers[header::CONTENT_TYPE], "text/css; charset=utf-8");
}
