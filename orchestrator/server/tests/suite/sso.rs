//! Sign-in through a company: who comes in by it, and what a lying company, a thief of its answers, and somebody with a look-alike
//! address get from it.

use crate::world::company::{Asked, Company};
use crate::world::key::{Key, options};
use crate::world::{Answer, Browser, World};
use http::{Method, StatusCode};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_crypto::mac;
use serde_json::{Value, json};

type Forgery = Box<dyn Fn(&Value, &SigningKey) -> String + Send + Sync>;

async fn acme() -> (World, Company) {
    let mut world = World::new().await;
    let company = Company::start("acme", &world.env).await;
    world.sign_in_through(&[&company]);
    (world, company)
}

fn refused(answer: &Answer, code: &str) {
    assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{} {}", answer.status, answer.body);
    assert!(answer.body.contains(code), "not `{code}`: {}", answer.body);
}

fn signed_in(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.location(), "/agents");
}

async fn address(browser: &mut Browser) -> String {
    let page = browser.get("/security").await;
    page.body.split("You sign in as <strong>").nth(1).unwrap_or_else(|| panic!("{}", page.body)).split('<').next().unwrap().to_owned()
}

async fn stays_out(browser: &mut Browser) {
    assert!(browser.get("/agents").await.location().starts_with("/sign-in"), "somebody is signed in");
}

#[tokio::test]
async fn a_person_comes_in_through_their_company_and_is_known_by_their_account_there_ever_after() {
    let (world, company) = acme().await;
    let mut ada = world.browser();
    let asked = company.asked(&mut ada, "/card").await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "purser"),
        ("redirect_uri", "http://localhost:4000/sign-in/sso/acme/callback"),
        ("scope", "openid email groups"),
        ("code_challenge_method", "S256"),
        ("tenant", "1"),
        ("max_age", "43200"),
    ] {
        assert_eq!(asked.get(name), value);
    }
    let done = ada.get(&company.answer(&asked, "ada", &[])).await;
    assert_eq!(done.location(), "/card", "{}", done.body);
    assert_eq!(address(&mut ada).await, "ada@acme.test");
    assert!(world.mail_to("ada@acme.test").await.iter().any(|mail| mail.contains("was connected")));
    // the company knew them just now, which counts as being there
    assert_eq!(ada.get("/step-up?next=/limits").await.location(), "/limits");
    assert!(ada.get("/security").await.body.contains("by your company"));

    let now = world.env.now().as_secs();
    // married, and still the same account there
    let mut again = world.browser();
    signed_in(&company.sign_in(&mut again, "ada", &[("email", json!("ada.king@acme.test")), ("auth_time", json!(now - 3_600))]).await);
    assert_eq!(address(&mut again).await, "ada@acme.test");
    assert_eq!(again.get("/step-up?next=/limits").await.status, StatusCode::OK, "a sign-in there of an hour ago counts as being here");
    refused(&company.sign_in(&mut world.browser(), "ada", &[("auth_time", json!(now - 86_400))]).await, "sso_stale");
}

#[tokio::test]
async fn an_unverified_address_or_one_at_another_domain_opens_nothing() {
    let (world, company) = acme().await;
    world.person("ada@acme.test").await;
    world.person("eve@else.test").await;
    let unverified = "sso_email_unverified";
    for (change, code) in [
        (vec![("email_verified", json!(false))], unverified),
        (vec![("email_verified", Value::Null)], unverified),
        (vec![("email_verified", json!("true"))], unverified),
        (vec![("email", Value::Null)], unverified),
        (vec![("email", json!(["ada@acme.test"]))], unverified),
        (vec![("email", json!("ada@acme.test, eve@else.test"))], unverified),
        (vec![("email", json!("ada@аcme.test"))], unverified),
        (vec![("email", json!("eve@else.test"))], "sso_domain_refused"),
        (vec![("email", json!("ada@acme.test.else.test"))], "sso_domain_refused"),
        (vec![("email", json!("ada@sub.acme.test"))], "sso_domain_refused"),
        (vec![("email", json!("ada@xacme.test"))], "sso_domain_refused"),
    ] {
        let mut browser = world.browser();
        company.state.lock().unwrap().userinfo = json!({ "sub": "ada" });
        refused(&company.sign_in(&mut browser, "ada", &change).await, code);
        stays_out(&mut browser).await;
    }
    // what userinfo says counts for the same subject and the same address only
    let thin = [("email", Value::Null), ("email_verified", Value::Null)];
    for (userinfo, code) in [
        (json!({ "sub": "bob", "email": "ada@acme.test", "email_verified": true }), "sso_answer_invalid"),
        (json!({ "email": "ada@acme.test", "email_verified": true }), "sso_answer_invalid"),
    ] {
        company.state.lock().unwrap().userinfo = userinfo;
        refused(&company.sign_in(&mut world.browser(), "ada", &thin).await, code);
    }
    company.state.lock().unwrap().userinfo = json!({ "sub": "ada", "email": "other@acme.test", "email_verified": true });
    refused(&company.sign_in(&mut world.browser(), "ada", &[("email_verified", Value::Null)]).await, unverified);
    company.state.lock().unwrap().userinfo = json!({ "sub": "ada", "email": "ada@acme.test", "email_verified": true });
    signed_in(&company.sign_in(&mut world.browser(), "ada", &thin).await);
}

#[tokio::test]
async fn the_address_of_somebody_else_with_a_passkey_is_connected_by_its_holder_alone() {
    let (world, company) = acme().await;
    let (mut ada, mut key) = (world.person("ada@acme.test").await, Key::default());
    assert_eq!(key.add(&mut ada, "laptop").await.location(), "/security");

    let mut thief = world.browser();
    let page = company.sign_in(&mut thief, "ada", &[]).await;
    assert!(page.status == StatusCode::OK && page.body.contains("Is this login yours?"), "{}", page.body);
    stays_out(&mut thief).await;
    // another key, no key, a code of an app that there is not
    let mut other = Key::default();
    other.add(&mut world.person("eve@else.test").await, "eve").await;
    let answer = other.get(options(&page)).await;
    refused(&thief.submit(&page, 0, &[("answer", &answer)], None).await, "passkey_unknown");
    refused(&thief.submit(&page, 0, &[("-answer", ""), ("code", "123456")], None).await, "totp_unknown");
    // what the page holds is this browser's, and cannot be made up
    let mut elsewhere = world.browser();
    company.asked(&mut elsewhere, "/agents").await;
    let own = elsewhere.get("/sign-in").await.form(0).1[0].1.clone();
    refused(&elsewhere.submit(&page, 0, &[("csrf", &own)], None).await, "sso_over");
    refused(&thief.submit(&page, 0, &[("pending", "AAAA")], None).await, "sso_over");
    stays_out(&mut thief).await;

    let mut holder = world.browser();
    let page = company.sign_in(&mut holder, "ada", &[]).await;
    let answer = key.get(options(&page)).await;
    signed_in(&holder.submit(&page, 0, &[("answer", &answer)], None).await);
    assert_eq!(address(&mut holder).await, "ada@acme.test");
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[]).await);
    // a page from before is worth nothing after its time
    world.clock.advance_secs(601);
    refused(&holder.submit(&page, 0, &[("answer", &answer)], None).await, "sso_over");
}

#[tokio::test]
async fn a_recycled_address_does_not_reach_what_its_last_holder_left() {
    let (world, company) = acme().await;
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[]).await);
    let mut next_ada = world.browser();
    refused(&company.sign_in(&mut next_ada, "ada-2", &[("email", json!("ada@acme.test"))]).await, "sso_other_account");
    stays_out(&mut next_ada).await;
}

#[tokio::test]
async fn an_issuer_cannot_answer_for_another() {
    let mut world = World::new().await;
    let (acme, evil) = (Company::start("acme", &world.env).await, Company::start("evil", &world.env).await);
    world.sign_in_through(&[&acme, &evil]);
    let mut ada = world.browser();
    // the state of one at the address of the other
    let asked = acme.asked(&mut ada, "/agents").await;
    let back = acme.answer(&asked, "ada", &[]);
    refused(&ada.get(&back.replace("/sso/acme/", "/sso/evil/")).await, "sso_over");
    signed_in(&ada.get(&back).await);
    // it says that it is another one, before or in the token
    for change in ["", "iss"] {
        let mut ada = world.browser();
        let asked = acme.asked(&mut ada, "/agents").await;
        let claims: &[(&str, Value)] = if change.is_empty() { &[] } else { &[("iss", json!(evil.url))] };
        let mut back = acme.answer(&asked, "ada", claims);
        if change.is_empty() {
            back.push_str(&format!("&iss={}", evil.url));
        }
        refused(&ada.get(&back).await, "sso_answer_invalid");
        stays_out(&mut ada).await;
    }
    // one that promises to name itself must
    acme.state.lock().unwrap().names_itself = true;
    world.clock.advance_secs(301);
    signed_in(&acme.sign_in(&mut world.browser(), "ada", &[]).await);
    let mut ada = world.browser();
    let asked = acme.asked(&mut ada, "/agents").await;
    let back = acme.answer(&asked, "ada", &[]);
    refused(&ada.get(back.split("&iss").next().unwrap()).await, "sso_answer_invalid");
    // and the accounts of two companies are two, whatever they are called
    let mut eve = world.browser();
    signed_in(&evil.sign_in(&mut eve, "ada", &[]).await);
    assert_eq!(address(&mut eve).await, "ada@evil.test");
    refused(&evil.sign_in(&mut world.browser(), "x", &[("email", json!("ada@acme.test"))]).await, "sso_domain_refused");
}

#[tokio::test]
async fn an_answer_counts_once_in_the_browser_that_asked_and_within_ten_minutes() {
    let (world, company) = acme().await;
    let mut ada = world.browser();
    let asked = company.asked(&mut ada, "/agents").await;
    let back = company.answer(&asked, "ada", &[]);
    // login CSRF: an answer of the attacker's in the victim's browser, which has been there or not
    let mut victim = world.browser();
    refused(&victim.get(&back).await, "sso_over");
    company.asked(&mut victim, "/agents").await;
    refused(&victim.get(&back).await, "sso_over");
    stays_out(&mut victim).await;
    // and what others try does not use it up
    signed_in(&ada.get(&back).await);
    ada.cookies.retain(|name, _| !name.contains("session"));
    refused(&ada.get(&back).await, "sso_over");
    stays_out(&mut ada).await;

    let asked = company.asked(&mut ada, "/agents").await;
    world.clock.advance_secs(600);
    refused(&ada.get(&company.answer(&asked, "ada", &[])).await, "sso_over");
    for query in ["", "?state=x&code=y", "?code=y", "?state=pur_sx_x&error=access_denied"] {
        refused(&ada.get(&format!("/sign-in/sso/acme/callback{query}")).await, "sso_over");
    }
    // a parameter that comes twice means nothing, and neither does a company that is not there
    let asked = company.asked(&mut ada, "/agents").await;
    let back = company.answer(&asked, "ada", &[]);
    refused(&ada.get(&format!("{back}&state=x")).await, "invalid_request");
    refused(&ada.get(&back.replace("/acme/", "/nobody/")).await, "sso_unknown");
    // the company says no
    let no = format!("/sign-in/sso/acme/callback?state={}&error=access_denied", asked.get("state"));
    refused(&ada.get(&no).await, "sso_refused");
    refused(&ada.get(&back).await, "sso_over");
}

#[tokio::test]
async fn a_refused_answer_leaves_neither_code_nor_state_in_the_address() {
    let (world, company) = acme().await;
    let mut eve = world.browser();
    let asked = company.asked(&mut eve, "/agents").await;
    let back = company.answer(&asked, "eve", &[("email", json!("eve@elsewhere.test"))]);
    let answer = eve.send(Method::GET, &back, None).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/sign-in/sso/acme/refused"));
    let page = eve.get("/sign-in/sso/acme/refused").await;
    refused(&page, "sso_domain_refused");
    assert!(page.body.contains("Use another account at") && page.body.contains("name=\"next\" value=\"/agents\""), "{}", page.body);
    // another browser has nothing to be told, and words that were put there are not markup
    refused(&world.browser().get("/sign-in/sso/acme/refused").await, "sso_over");
    let forged = json!({ "refusal": { "status": 200, "code": "<b>", "text": "<script>", "hint": null, "for_programs": false }, "next": "//evil.test" });
    eve.cookies.insert("purser-refused".to_owned(), b64url(forged.to_string().as_bytes()));
    let page = eve.get("/sign-in/sso/acme/refused").await;
    assert!(
        page.status.is_client_error() && !page.body.contains("<script") && !page.body.contains("evil.test"),
        "{} {}",
        page.status,
        page.body
    );
}

#[tokio::test]
async fn a_code_or_token_of_another_session_is_not_taken_and_neither_are_swapped_states() {
    let (world, company) = acme().await;
    // the attacker's code, brought with the victim's state: the company compares the verifier, and where it does not, we the nonce
    for checks in [true, false] {
        company.state.lock().unwrap().checks_pkce = checks;
        let (mut attacker, mut victim) = (world.browser(), world.browser());
        let theirs = company.asked(&mut attacker, "/agents").await;
        let code = company.answer(&theirs, "mallory", &[]);
        let own = company.asked(&mut victim, "/agents").await;
        let injected = code.replace(&theirs.get("state"), &own.get("state"));
        refused(&victim.get(&injected).await, if checks { "sso_refused" } else { "sso_answer_invalid" });
        stays_out(&mut victim).await;
    }
    company.state.lock().unwrap().checks_pkce = true;
    // two of the same browser's, swapped
    let mut ada = world.browser();
    let (one, two) = (company.asked(&mut ada, "/agents").await, company.asked(&mut ada, "/card").await);
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(one.get(name), two.get(name));
    }
    let swapped = company.answer(&one, "ada", &[]).replace(&one.get("state"), &two.get("state"));
    refused(&ada.get(&swapped).await, "sso_refused");
    let nonce = [("nonce", json!(two.get("nonce")))];
    refused(&ada.get(&company.answer(&one, "ada", &nonce)).await, "sso_answer_invalid");
    stays_out(&mut ada).await;
}

#[tokio::test]
async fn no_forged_token_and_none_for_somebody_else_signs_anybody_in() {
    let (world, company) = acme().await;
    let now = world.env.now().as_secs();
    for (name, value) in [
        ("aud", json!("another client")),
        ("aud", json!(["purser", "another client"])),
        ("aud", json!([])),
        ("azp", json!("another client")),
        ("nonce", Value::Null),
        ("nonce", json!("")),
        ("exp", json!(now)),
        ("exp", json!(now + 200_000)),
        ("exp", Value::Null),
        ("iat", json!(now + 120)),
        ("iat", json!(now - 3_600)),
        ("nbf", json!(now + 120)),
        ("auth_time", json!(now + 120)),
        ("iss", json!(format!("{}/", company.url))),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("sub", Value::Null),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
    ] {
        let mut browser = world.browser();
        let answer = company.sign_in(&mut browser, "ada", &[(name, value.clone())]).await;
        refused(&answer, "sso_answer_invalid");
        stays_out(&mut browser).await;
    }
    let header = |alg: &str, typ: &str| b64url(json!({ "alg": alg, "typ": typ }).to_string().as_bytes());
    let body = |claims: &Value| b64url(claims.to_string().as_bytes());
    let forgeries: Vec<Forgery> = vec![
        Box::new(move |claims, _| format!("{}.{}.", header("none", "JWT"), body(claims))),
        Box::new(move |claims, key| {
            let text = format!("{}.{}", header("HS256", "JWT"), body(claims));
            let secret = json!(key.public()).to_string();
            format!("{text}.{}", b64url(&mac::hmac_sha256(secret.as_bytes(), &[text.as_bytes()])))
        }),
        Box::new(|claims, _| SigningKey::generate(Algorithm::Es256).unwrap().sign("JWT", claims).unwrap()),
        Box::new(|claims, _| SigningKey::generate(Algorithm::EdDsa).unwrap().sign_with_jwk("JWT", claims).unwrap()),
        Box::new(|claims, key| key.sign("at+jwt", claims).unwrap()),
        Box::new(|claims, key| key.sign("logout+jwt", claims).unwrap()),
        Box::new(|_, _| "not.a.token".to_owned()),
    ];
    for forge in forgeries {
        company.forge(forge);
        let mut browser = world.browser();
        refused(&company.sign_in(&mut browser, "ada", &[]).await, "sso_answer_invalid");
        stays_out(&mut browser).await;
    }
}

#[tokio::test]
async fn a_new_key_of_the_company_is_found_and_one_that_it_took_back_is_not_used() {
    let (world, company) = acme().await;
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[]).await);
    let old = company.state.lock().unwrap().key.clone();
    company.state.lock().unwrap().key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    world.clock.advance_secs(11);
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[("at_hash", Value::Null)]).await);
    let sha512 = b64url(&mac::sha512(crate::world::company::ACCESS.as_bytes())[..32]);
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[("at_hash", json!(sha512))]).await);
    company.forge(move |claims, _| old.sign("JWT", claims).unwrap());
    refused(&company.sign_in(&mut world.browser(), "ada", &[]).await, "sso_answer_invalid");
}

#[tokio::test]
async fn a_company_that_is_down_has_a_page_that_says_so() {
    let (world, company) = acme().await;
    company.state.lock().unwrap().is_down = true;
    let mut ada = world.browser();
    let page = ada.get("/sign-in").await;
    let down = ada.submit(&page, 2, &[], None).await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE, "{}", down.body);
    assert!(down.body.contains("sso_unavailable") && down.body.contains("Try again"), "{}", down.body);
    company.state.lock().unwrap().is_down = false;
    world.clock.advance_secs(11);
    signed_in(&company.sign_in(&mut ada, "ada", &[]).await);
}

#[tokio::test]
async fn nobody_is_sent_from_the_companys_page_to_a_site_that_is_not_ours() {
    let (world, company) = acme().await;
    for bad in ["https://evil.test/", "//evil.test", "/\\evil.test", "/sign-in/sso/acme/callback"] {
        let mut ada = world.browser();
        let asked = company.asked(&mut ada, &url::form_urlencoded::byte_serialize(bad.as_bytes()).collect::<String>()).await;
        assert_eq!(ada.get(&company.answer(&asked, "ada", &[])).await.location(), "/", "{bad}");
        // and from a form whose field was changed
        let page = ada.get("/sign-in?again=1").await;
        let asked = Asked::on(&ada.submit(&page, 2, &[("next", bad)], None).await);
        assert_eq!(ada.get(&company.answer(&asked, "ada", &[])).await.location(), "/", "{bad}");
    }
    // nobody is sent there by a link of somebody else's either
    let mut ada = world.browser();
    assert_eq!(ada.get("/sign-in/sso/acme").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ada.post("/sign-in/sso/acme", &[]).await.status, StatusCode::FORBIDDEN);
}
