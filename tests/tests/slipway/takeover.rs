//! The ways in which somebody tries to get at another person's slipway account, each refused. What needs a clock is in
//! `slipway/accounts/tests/links.rs`; what the orchestrator must refuse is tested there.

use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use purser_client::{CallError, Identity, ProviderClient, ProviderEndpoint, Signer};
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_tests::browser::client;
use purser_tests::form::Form;
use purser_tests::processes::until;
use purser_values::Env;
use purser_wire::account::AccountAnswer;
use purser_wire::assertion::IdentityAssertion;
use serde_json::json;
use url::Url;

use crate::linking::{VERIFIER, accept, parameter};
use crate::support::{SECRET, World, permanent};

fn state_of(path: &str) -> String {
    let url = Url::parse(&format!("http://x{path}")).unwrap();
    url.query_pairs().find(|(n, _)| n == "state").unwrap().1.into_owned()
}

impl World {
    /// How many accounts there are, to see that none was made.
    async fn accounts(&self) -> i64 {
        self.cloud.db.read(slipway_accounts::account::get::account_count).await.unwrap()
    }
}

#[tokio::test]
async fn e_mail_reuse_reaches_nothing_and_the_owner_is_told() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let accounts = world.accounts().await;
    let path = world.page_for(&world.asked("ada@example.test", "org_thief").await).await;
    assert_eq!(world.accounts().await, accounts, "something was made before the owner agreed");
    let ada = world.person("ada");
    let warned =
        until("the owner's mail", Duration::from_secs(10), async || ada.mails().into_iter().find(|m| m.contains("asks to be connected")))
            .await;
    assert!(!warned.contains(&state_of(&path)), "the mail carries the state");
    // asking again does not flood the owner
    for _ in 0..3 {
        world.page_for(&world.asked("ada@example.test", "org_thief").await).await;
    }
    assert_eq!(ada.mails().iter().filter(|m| m.contains("asks to be connected")).count(), 1);
}

#[tokio::test]
async fn an_unverified_e_mail_is_refused_and_makes_nothing() {
    let Some(world) = World::start().await else { return };
    let mut request = world.account_request("ada@example.test", "org_one").await;
    let attestor = world.stub.attestor();
    let now = Env::system().now().as_secs();
    let unverified = IdentityAssertion {
        iss: attestor.issuer.to_string(),
        aud: world.config.public_url.to_string(),
        sub: "org_one".to_owned(),
        email: "ada@example.test".parse().unwrap(),
        email_verified: false,
        agent_jkt: None,
        terms: world.cloud.manifest.terms.iter().map(|t| t.sha256).collect(),
        jti: "unverified".to_owned(),
        iat: now,
        exp: now + 60,
    };
    request.identity_assertion = Some(unverified.sign(&attestor.key).unwrap());
    assert_eq!(permanent(world.client.account_request(&request).await.unwrap_err()).code, "invalid_assertion");
    assert_eq!(world.accounts().await, 0);
}

#[tokio::test]
async fn case_plus_dot_and_unicode_never_make_two_addresses_one_or_one_two() {
    let Some(world) = World::start().await else { return };
    let ada = world.customer("ada.l").await;
    for same in ["ADA.L@example.test", "ada.l@EXAMPLE.TEST", "ada.l@example.test."] {
        let answer = world.client.account_request(&world.asked(same, "org_case").await).await.unwrap();
        assert!(matches!(answer, AccountAnswer::RequiresAuth { .. }), "`{same}` went past the owner: {answer:?}");
    }
    for (n, other) in
        ["ada.l+x@example.test", "adal@example.test", "a.da.l@example.test", "ada.l@xn--exmple-cua.test"].into_iter().enumerate()
    {
        let customer = world.redeem(&world.account_request(other, &format!("org_{n}")).await).await;
        assert_ne!(customer.account, ada.account, "`{other}` reached the account of another address");
    }
    for unicode in ["аda.l@example.test", "ada.l@exаmple.test", "ａda.l@example.test", "ada.l\u{200b}@example.test"] {
        assert!(unicode.parse::<purser_values::name::Email>().is_err(), "`{unicode}` was taken for an address");
    }
    assert_eq!(world.accounts().await, 5);
}

#[tokio::test]
async fn a_link_is_decided_once_and_a_replaced_one_is_dead() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let mut ada = world.person("ada");
    let old = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let mut again = world.asked("ada@example.test", "org_two").await;
    again.confirmation_secret = Some("another-secret-of-the-same-subject".to_owned().into());
    let new = world.page_for(&again).await;
    ada.open("/connections").await;
    assert_eq!(ada.open(&old).await.status, 400, "a replaced request can be opened");
    let page = ada.open(&new).await;
    let form = page.form("/link");
    let at = accept(&mut ada, &page, "new").await;
    assert!(parameter(&at, "code").is_some());
    let replay = ada.browser.press(&form, "accept").await;
    assert!(replay.status == 400 && replay.body.contains("expired_or_invalid_state"), "{}", replay.text());
    assert_eq!(ada.open(&new).await.status, 400);
    assert_eq!(ada.open("/link?state=0123456789abcdef0123456789abcdef").await.status, 400);
    assert!(ada.open("/link").await.body.contains("missing_state"));
}

#[tokio::test]
async fn a_state_mix_up_is_refused_and_each_state_stays_with_its_person() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    world.customer("bob").await;
    let (for_ada, for_bob) = (
        world.page_for(&world.asked("ada@example.test", "org_a").await).await,
        world.page_for(&world.asked("bob@example.test", "org_b").await).await,
    );
    let (mut ada, mut bob) = (world.person("ada"), world.person("bob"));
    ada.open("/connections").await;
    let page = ada.open(&for_bob).await;
    assert!(page.status == 403 && page.body.contains("email_mismatch"), "{}", page.text());
    assert!(!page.body.contains("bob@example.test"), "the page names the other address");
    // her own page, sent with the other state
    let page = ada.open(&for_ada).await;
    let mut form = page.form("/link");
    form.fields.iter_mut().filter(|f| f.name == "state").for_each(|f| f.value = state_of(&for_bob));
    assert!(ada.browser.press(&form, "accept").await.body.contains("email_mismatch"));
    // and another browser of hers that was never shown the page
    let mut elsewhere = world.person("ada");
    elsewhere.open("/connections").await;
    let out = elsewhere.open("/connections").await.form("/sign-out");
    let csrf = &out.fields.iter().find(|f| f.name == "csrf").unwrap().value;
    let body = format!("csrf={csrf}&state={}&decision=accept&account=new", state_of(&for_ada));
    let refused = elsewhere.browser.post("/link", &body).await;
    assert!(refused.status == 403 && refused.body.contains("other_session"), "{}", refused.text());
    // both are still there for the right ones
    let page = bob.open(&for_bob).await;
    assert!(parameter(&accept(&mut bob, &page, "new").await, "code").is_some());
}

#[tokio::test]
async fn an_injected_code_buys_nothing_without_the_verifier_of_its_own_request() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let mut ada = world.person("ada");
    let page = ada.open(&world.page_for(&world.asked("ada@example.test", "org_two").await).await).await;
    let code = parameter(&accept(&mut ada, &page, "new").await, "code").unwrap();
    let refused = |e: CallError| match e {
        CallError::Permanent { error, .. } => error.code,
        other => panic!("no answer: {other:?}"),
    };
    assert_eq!(refused(world.exchange(&code, Some("the-verifier-of-another-request-that-is-long")).await.unwrap_err()), "invalid_grant");
    assert_eq!(refused(world.exchange(&code, None).await.unwrap_err()), "invalid_request");
    assert_eq!(refused(world.exchange("app_code_nonsense", Some(VERIFIER)).await.unwrap_err()), "invalid_grant");
    // the right one still works once, and its second use ends what it bought
    let tokens = world.exchange(&code, Some(VERIFIER)).await.unwrap();
    assert_eq!(refused(world.exchange(&code, Some(VERIFIER)).await.unwrap_err()), "invalid_grant");
    let customer = crate::support::Customer { access: tokens.access_token, account: String::new() };
    assert_eq!(world.quote(&customer, "registrar:domain", json!({"domain": "shop.test"})).await.unwrap_err().code, "unauthorized");
}

#[tokio::test]
async fn no_parameter_opens_a_redirect_to_somewhere_else() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let path = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let (http, base) = (client(), world.config.public_url.clone());
    let orchestrator = world.stub.url().to_string();
    for (client_id, redirect) in [(orchestrator.as_str(), "https://evil.example/"), ("https://evil.example/", "https://evil.example/")] {
        let mut url = base.join("oauth/authorize").unwrap();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect),
            ("state", &state_of(&path)),
        ]);
        let answer = http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.headers().get("location").is_none(), "it leads to `{redirect}`");
    }
    let mut ada = world.person("ada");
    for next in ["https://evil.example/", "//evil.example/", "/\\evil.example"] {
        // the browser of these tests panics when a redirect leads away
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        let page = ada.open(&format!("/sign-in?{query}")).await;
        assert_eq!(page.path, "/connections", "{}", page.text());
        let form = page.form("/sign-out");
        ada.browser.press(&form, "").await;
    }
    let page = ada.open(&format!("{path}&redirect_uri=https%3A%2F%2Fevil.example%2F&callback=https%3A%2F%2Fevil.example%2F")).await;
    let at = accept(&mut ada, &page, "new").await;
    assert!(at.path.starts_with(world.config.orchestrator.callback_url.as_str()), "{}", at.path);
}

#[tokio::test]
async fn an_account_that_another_organisation_holds_is_not_given_to_a_second() {
    let Some(world) = World::start().await else { return };
    let first = world.customer("ada").await;
    let bob = world.customer("bob").await;
    let mut ada = world.person("ada");
    let page = ada.open(&world.page_for(&world.asked("ada@example.test", "org_two").await).await).await;
    assert!(page.body.contains("disabled"), "the account can be chosen although another organisation holds it");
    assert!(!page.body.contains(&bob.account), "the chooser shows somebody else's account");
    for (account, code) in [(&first.account, "account_held"), (&bob.account, "account_not_accessible")] {
        let mut form = page.form("/link");
        form.fields.iter_mut().filter(|f| f.name == "account").for_each(|f| account.clone_into(&mut f.value));
        let refused = ada.browser.press(&form, "accept").await;
        assert!(refused.body.contains(code), "{code}: {}", refused.text());
    }
    // the refusals used nothing up
    assert!(parameter(&accept(&mut ada, &page, "new").await, "code").is_some());
    // nor does a request's id move to another subject
    let mut moved = world.asked("eve@example.test", "org_eve").await;
    let owned = world.account_request("bob@example.test", "bob").await;
    world.redeem(&owned).await;
    moved.id = owned.id.clone();
    assert_eq!(permanent(world.client.account_request(&moved).await.unwrap_err()).code, "identity_pinned");
}

#[tokio::test]
async fn another_key_in_the_orchestrators_place_changes_and_redeems_nothing() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let mut ada = world.person("ada");
    let page = ada.open(&world.page_for(&world.asked("ada@example.test", "org_two").await).await).await;
    let code = parameter(&accept(&mut ada, &page, "new").await, "code").unwrap();
    // the shared secret has leaked, the key has not
    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let signer =
        Signer { identity: Identity::Secret(SECRET.to_owned().into()), keys: std::sync::Arc::new(stranger.clone()), env: Env::system() };
    let fetcher = Fetcher::new(vec![Origin::of(&world.config.public_url).unwrap()]).unwrap();
    let client = ProviderClient::new(fetcher, ProviderEndpoint::from(&world.cloud.manifest), signer);
    let grant =
        purser_wire::token::TokenGrant::AuthorizationCode { code: code.clone().into(), code_verifier: Some(VERIFIER.to_owned().into()) };
    assert_eq!(permanent(client.token(&grant).await.unwrap_err()).code, "invalid_signature");
    let request = world.asked("carol@example.test", "org_carol").await;
    assert_eq!(permanent(client.account_request(&request).await.unwrap_err()).code, "invalid_signature");
    assert!(world.exchange(&code, Some(VERIFIER)).await.is_ok(), "the refused attempt used the code up");
}

#[tokio::test]
async fn a_consent_page_cannot_be_framed_and_its_form_leads_to_the_callback_alone() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let path = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let mut ada = world.person("ada");
    ada.open(&path).await;
    let url = format!("{}{path}", world.config.public_url.as_str().trim_end_matches('/'));
    let answer = client().get(url).header(COOKIE, ada.browser.cookies()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let callback = world.config.orchestrator.callback_url.origin().ascii_serialization();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains(&format!("form-action 'self' {callback};")), "{policy}");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn a_forged_accept_cut_or_sign_out_is_refused() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let path = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let mut ada = world.person("ada");
    let page = ada.open(&path).await;
    let connections = ada.open("/connections").await;
    let cut = Form::all(&connections.body).into_iter().find(|f| f.action.ends_with("/cut")).unwrap().action;
    let good = page.form("/link");
    let csrf = good.fields.iter().find(|f| f.name == "csrf").unwrap().value.clone();
    let base = world.config.public_url.as_str().trim_end_matches('/').to_owned();
    let send = async |path: &str, body: String, origin: Option<&str>| {
        let mut request = client().post(format!("{base}{path}")).header(COOKIE, ada.browser.cookies());
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        request.send().await.unwrap().status()
    };
    let body = |csrf: &str| format!("csrf={csrf}&state={}&decision=accept&account=new", state_of(&path));
    for target in ["/link", cut.as_str(), "/sign-out"] {
        assert_eq!(send(target, body(""), Some(&base)).await, 403, "{target} without a token");
        assert_eq!(send(target, body("x".repeat(43).as_str()), Some(&base)).await, 403, "{target} with another token");
        assert_eq!(send(target, body(&csrf), Some("https://evil.example")).await, 403, "{target} from another site");
        assert_eq!(send(target, body(&csrf), Some("null")).await, 403, "{target} from a page that hides where it is");
    }
    assert!(parameter(&accept(&mut ada, &page, "new").await, "code").is_some(), "a forged form used the request up");
}

#[tokio::test]
async fn nobody_is_signed_in_as_somebody_else_by_a_form_a_code_or_a_cookie_from_elsewhere() {
    let Some(world) = World::start().await else { return };
    world.customer("eve").await;
    let base = world.config.public_url.as_str().trim_end_matches('/').to_owned();
    let http = client();
    // login CSRF: Eve's sign-in, carried into another browser
    let mut eve = world.person("eve");
    let before = eve.mails().len();
    let page = eve.browser.open("/sign-in").await;
    let mut form = page.form("/sign-in");
    form.type_in("email", "eve@example.test");
    let page = eve.browser.press(&form, "").await;
    let code = eve.code(before).await;
    let mut form = page.form("/sign-in/code");
    form.type_in("code", &code);
    let body = form.body(None);
    for cookies in [String::new(), "slipway-form=0123456789012345678901234567890123456789012".to_owned()] {
        let request = http.post(format!("{base}/sign-in/code")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.header(COOKIE, cookies).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.headers().get(SET_COOKIE).is_none());
    }
    // another browser's own form, with Eve's code: a code belongs to the browser that asked for it
    let mut victim = world.person("victim");
    let page = victim.browser.open("/sign-in/code").await;
    let mut form = page.form("/sign-in/code");
    form.type_in("code", &code);
    assert_eq!(victim.browser.press(&form, "").await.status, 401);
    // session fixation: a cookie that was planted is not the session that sign-in makes
    let planted = eve.browser.cookies();
    let mut form = eve.browser.open("/sign-in/code").await.form("/sign-in/code");
    form.type_in("code", &code);
    let page = eve.browser.press(&form, "").await;
    assert_eq!((page.status, page.path.as_str()), (200, "/connections"), "{}", page.text());
    let answer = http.get(format!("{base}/connections")).header(COOKIE, planted).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "a cookie from before the sign-in is signed in");
}

#[tokio::test]
async fn sign_in_tells_nobody_who_has_an_account_here() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let answer = async |name: &str| {
        let mut person = world.person(name);
        let page = person.browser.open("/sign-in").await;
        let mut form = page.form("/sign-in");
        form.type_in("email", &format!("{name}@example.test"));
        let page = person.browser.press(&form, "").await;
        (page.status, page.path.clone(), page.text())
    };
    assert_eq!(answer("ada").await, answer("nobody").await);
    let (ada, nobody) = (world.person("ada"), world.person("nobody"));
    until("a code", Duration::from_secs(10), async || ada.mails().into_iter().find(|m| m.contains("sign-in code"))).await;
    assert!(nobody.mails().is_empty(), "a stranger got mail");
}
