//! Signing out and companies: a company tells that somebody signed out there, and whoever signs out here is asked whether there too.

use crate::world::company::{Asked, Company};
use crate::world::{Answer, Browser, World};
use http::StatusCode;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn acme() -> (World, Company) {
    let mut world = World::new().await;
    let company = Company::start("acme", &world.env).await;
    world.sign_in_through(&[&company]);
    (world, company)
}

/// A browser in which somebody came in through the company, in this session there.
async fn comes(world: &World, company: &Company, who: &str, sid: &str) -> Browser {
    let mut browser = world.browser();
    let done = company.sign_in(&mut browser, who, &[("sid", json!(sid))]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    browser
}

async fn is_in(browser: &mut Browser) -> bool {
    browser.get("/agents").await.status == StatusCode::OK
}

/// The claims of a logout token, with changes; null leaves one out.
fn claims(world: &World, company: &Company, change: &[(&str, Value)]) -> Value {
    let now = world.env.now().as_secs();
    let mut claims = json!({
        "iss": company.url, "aud": "purser", "iat": now, "exp": now + 120, "jti": b64url(&world.env.bytes::<16>()), "events": { EVENT: {} },
    });
    for (name, value) in change {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(*name);
        } else {
            claims[*name] = value.clone();
        }
    }
    claims
}

async fn send(world: &World, name: &str, token: &str) -> (StatusCode, String) {
    let path = format!("/sign-in/sso/{name}/logout");
    let (status, answer) = world.form(&path, &[], &[("logout_token", token)]).await;
    (status, answer["error_description"].as_str().unwrap_or_default().to_owned())
}

async fn tells(world: &World, company: &Company, change: &[(&str, Value)]) -> (StatusCode, String) {
    let key = company.state.lock().unwrap().key.clone();
    let token = key.sign("logout+jwt", &claims(world, company, change)).unwrap();
    send(world, company.name, &token).await
}

#[tokio::test]
async fn a_company_that_says_that_somebody_signed_out_there_ends_their_sessions_here_and_no_others() {
    let mut world = World::new().await;
    let (acme, evil) = (Company::start("acme", &world.env).await, Company::start("evil", &world.env).await);
    world.sign_in_through(&[&acme, &evil]);
    let (mut laptop, mut phone) = (comes(&world, &acme, "ada", "s1").await, comes(&world, &acme, "ada", "s2").await);
    let mut grace = comes(&world, &acme, "grace", "s3").await;
    // another company uses the same words for its own
    let mut other = comes(&world, &evil, "ada", "s1").await;
    let mut by_mail = world.person("ada@acme.test").await;

    assert_eq!(tells(&world, &acme, &[("sid", json!("s3")), ("sub", json!("ada"))]).await.0, StatusCode::OK);
    assert!(is_in(&mut grace).await, "the session of another account was ended");
    assert_eq!(tells(&world, &acme, &[("sid", json!("s1"))]).await.0, StatusCode::OK);
    assert!(!is_in(&mut laptop).await && is_in(&mut phone).await && is_in(&mut grace).await && is_in(&mut other).await);
    assert_eq!(tells(&world, &evil, &[("sub", json!("grace")), ("sid", json!("s3"))]).await.0, StatusCode::OK);
    assert!(is_in(&mut grace).await, "another company ended it");
    assert_eq!(tells(&world, &acme, &[("sub", json!("ada"))]).await.0, StatusCode::OK);
    assert!(!is_in(&mut phone).await && is_in(&mut grace).await && is_in(&mut other).await && is_in(&mut by_mail).await);
    // it is over already, or nobody's: that is no mistake
    assert_eq!(tells(&world, &acme, &[("sub", json!("ada"))]).await.0, StatusCode::OK);
    assert_eq!(tells(&world, &acme, &[("sub", json!("nobody"))]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_was_confirmed_anew_at_the_company_goes_with_the_new_one_there() {
    let (world, company) = acme().await;
    let mut ada = comes(&world, &company, "ada", "s1").await;
    world.clock.advance_secs(400);
    let page = ada.get("/step-up?next=/card").await;
    let at = (0..page.body.matches("<form").count()).find(|at| page.form(*at).0 == "/step-up/sso").unwrap();
    let asked = Asked::on(&ada.submit(&page, at, &[], None).await);
    let now = world.env.now().as_secs();
    let done = ada.get(&company.answer(&asked, "ada", &[("auth_time", json!(now)), ("sid", json!("s9"))])).await;
    assert_eq!(done.location(), "/card", "{}", done.body);
    assert_eq!(tells(&world, &company, &[("sid", json!("s1"))]).await.0, StatusCode::OK);
    assert!(is_in(&mut ada).await);
    assert_eq!(tells(&world, &company, &[("sid", json!("s9"))]).await.0, StatusCode::OK);
    assert!(!is_in(&mut ada).await);
}

#[tokio::test]
async fn no_forged_foreign_old_or_repeated_word_of_a_logout_ends_anything() {
    let (world, company) = acme().await;
    let mut ada = comes(&world, &company, "ada", "s1").await;
    let now = world.env.now().as_secs();
    let sub = ("sub", json!("ada"));
    for (name, value) in [
        ("iss", json!(format!("{}/", company.url))),
        ("aud", json!("another client")),
        ("aud", json!(["purser", "another client"])),
        ("aud", Value::Null),
        ("events", Value::Null),
        ("events", json!({})),
        ("events", json!({ EVENT: true })),
        ("events", json!({ "http://schemas.openid.net/event/other": {} })),
        ("nonce", json!("n")),
        ("nonce", json!(null)),
        ("exp", json!(now - 61)),
        ("exp", json!(now + 200_000)),
        ("exp", Value::Null),
        ("iat", json!(now - 361)),
        ("iat", json!(now + 120)),
        ("iat", Value::Null),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(256))),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("sub", json!(7)),
        ("sid", json!("")),
        ("sid", json!("x".repeat(256))),
    ] {
        let mut change = vec![sub.clone()];
        let mut made = claims(&world, &company, &[]);
        if (name, &value) == ("nonce", &Value::Null) {
            made["nonce"] = Value::Null;
            made["sub"] = json!("ada");
        } else {
            change.push((name, value.clone()));
            made = claims(&world, &company, &change);
        }
        let key = company.state.lock().unwrap().key.clone();
        let (status, why) = send(&world, "acme", &key.sign("logout+jwt", &made).unwrap()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {value} was taken ({why})");
        assert!(is_in(&mut ada).await, "{name}: {value}");
    }
    let good = claims(&world, &company, std::slice::from_ref(&sub));
    let key = company.state.lock().unwrap().key.clone();
    let strange = SigningKey::generate(Algorithm::Es256).unwrap();
    let none = format!("{}.{}.", b64url(br#"{"alg":"none","typ":"logout+jwt"}"#), b64url(good.to_string().as_bytes()));
    for token in [
        strange.sign("logout+jwt", &good).unwrap(),
        strange.sign_with_jwk("logout+jwt", &good).unwrap(),
        key.sign("at+jwt", &good).unwrap(),
        none,
        "not.a.token".to_owned(),
        "x".repeat(20_000),
    ] {
        assert_eq!(send(&world, "acme", &token).await.0, StatusCode::BAD_REQUEST);
        assert!(is_in(&mut ada).await);
    }
    let token = key.sign("logout+jwt", &good).unwrap();
    assert_eq!(send(&world, "nobody", &token).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.form("/sign-in/sso/acme/logout", &[], &[]).await.0, StatusCode::BAD_REQUEST);
    assert!(is_in(&mut ada).await);
    // it counts once: a thief of the token signs nobody out again
    assert_eq!(send(&world, "acme", &token).await.0, StatusCode::OK);
    assert!(!is_in(&mut ada).await);
    let mut again = comes(&world, &company, "ada", "s1").await;
    assert_eq!(send(&world, "acme", &token).await.0, StatusCode::BAD_REQUEST);
    assert!(is_in(&mut again).await);
    world.clock.advance_secs(400);
    assert_eq!(send(&world, "acme", &token).await.0, StatusCode::BAD_REQUEST, "an old one");
    // and the type of older providers is taken where the event says what it is
    let key = company.state.lock().unwrap().key.clone();
    let older = key.sign("JWT", &claims(&world, &company, &[sub])).unwrap();
    assert_eq!(send(&world, "acme", &older).await.0, StatusCode::OK);
    assert!(!is_in(&mut again).await);
}

#[tokio::test]
async fn clients_that_a_person_signed_on_to_hear_of_the_companys_word_too() {
    let (world, company) = acme().await;
    let client = world.client(json!({})).await;
    let mut ada = comes(&world, &company, "ada", "s1").await;
    let back = ada.allows(&client, &[]).await;
    let (status, tokens) = world.redeem(&client, back.get("code")).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(world.userinfo(access).await.0, StatusCode::OK);
    assert_eq!(tells(&world, &company, &[("sid", json!("s1"))]).await.0, StatusCode::OK);
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED, "its token goes on");
}

fn sign_out_form(page: &Answer) -> usize {
    (0..page.body.matches("<form").count()).find(|at| page.form(*at).0 == "/sign-out").unwrap()
}

#[tokio::test]
async fn whoever_signs_out_is_asked_whether_at_their_company_too() {
    let (world, company) = acme().await;
    let mut ada = comes(&world, &company, "ada", "s1").await;
    let page = ada.get("/agents").await;
    let out = ada.submit(&page, sign_out_form(&page), &[], None).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.body);
    assert!(out.body.contains(&format!("{}/bye?client_id=purser", company.url)) && out.body.contains("acme Ltd"), "{}", out.body);
    assert!(!is_in(&mut ada).await);
    // a company that is down keeps nobody in, and one that has no such page is not named
    for down in [true, false] {
        let mut ada = comes(&world, &company, "ada", "s2").await;
        let page = ada.get("/agents").await;
        {
            let mut state = company.state.lock().unwrap();
            (state.is_down, state.says_goodbye) = (down, false);
        }
        world.clock.advance_secs(301);
        let out = ada.submit(&page, sign_out_form(&page), &[], None).await;
        assert_eq!(out.location(), "/sign-in", "{}", out.body);
        assert!(!is_in(&mut ada).await);
        {
            let mut state = company.state.lock().unwrap();
            (state.is_down, state.says_goodbye) = (false, true);
        }
        world.clock.advance_secs(11);
    }
    // who came by mail is sent back to the sign-in, as before
    let mut eve = world.person("eve@else.test").await;
    let page = eve.get("/agents").await;
    assert_eq!(eve.submit(&page, sign_out_form(&page), &[], None).await.location(), "/sign-in");
}
