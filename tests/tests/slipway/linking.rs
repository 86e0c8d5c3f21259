//! Linking an account that exists: from the orchestrator's request over the owner's page to tokens, and the cut that ends them.

use std::time::Duration;

use http::{Method, StatusCode};
use purser_client::CallError;
use purser_crypto::encoding::b64url;
use purser_tests::browser::Page;
use purser_tests::person::Person;
use purser_tests::processes::until;
use purser_values::{Env, Sha256Digest};
use purser_wire::account::{AccountAnswer, AccountRequest};
use purser_wire::event::EventKind;
use purser_wire::token::{TokenGrant, TokenSet};
use serde_json::json;
use url::Url;

use crate::support::{Customer, World, order, permanent};

pub const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-rfc-7636";
/// A state as orchestrators choose it.
pub const CONFIRMATION: &str = "0123456789abcdef0123456789abcdef";

impl World {
    /// A request of a subject for an address, with a challenge, answered with a page.
    pub async fn asked(&self, email: &str, subject: &str) -> AccountRequest {
        let mut request = self.account_request(email, subject).await;
        request.code_challenge = Some(b64url(Sha256Digest::of(VERIFIER.as_bytes()).as_bytes()));
        request.code_challenge_method = Some("S256".to_owned());
        request.confirmation_secret = Some(format!("{CONFIRMATION}{subject}").into());
        request
    }

    /// The page's path that an account request is answered with.
    pub async fn page_for(&self, request: &AccountRequest) -> String {
        let answer = self.client.account_request(request).await.unwrap();
        let AccountAnswer::RequiresAuth { url } = answer else { panic!("no page: {answer:?}") };
        assert!(url.as_str().starts_with(self.config.public_url.as_str()), "{url}");
        format!("{}?{}", url.path(), url.query().unwrap())
    }

    /// A person in front of slipway, whose browser may go back to the orchestrator.
    pub fn person(&self, name: &str) -> Person {
        let origin = self.config.public_url.as_str().trim_end_matches('/');
        let mut person = Person::at(origin, &self.folder.path().join("mail"), name);
        person.browser.leaves_to = Some(self.config.orchestrator.callback_url.to_string());
        person
    }

    pub async fn exchange(&self, code: &str, verifier: Option<&str>) -> Result<TokenSet, CallError> {
        let grant = TokenGrant::AuthorizationCode { code: code.to_owned().into(), code_verifier: verifier.map(|v| v.to_owned().into()) };
        self.client.token(&grant).await
    }
}

/// Accepts the page with an account (or `new`); gives where the browser went.
pub async fn accept(person: &mut Person, page: &Page, account: &str) -> Page {
    assert!(page.body.contains(&format!("value=\"{account}\"")), "`{account}` is no choice: {} {}", page.status, page.text());
    let mut form = page.form("/link");
    form.fields.iter_mut().filter(|field| field.name == "account").for_each(|field| account.clone_into(&mut field.value));
    person.browser.press(&form, "accept").await
}

/// A parameter of the callback.
pub fn parameter(at: &Page, name: &str) -> Option<String> {
    let url = Url::parse(&at.path).unwrap_or_else(|_| panic!("not at the orchestrator: {} {} {}", at.status, at.path, at.text()));
    url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

#[tokio::test]
async fn an_owner_links_an_account_that_exists_and_cuts_it_off_again() {
    let Some(world) = World::start().await else { return };
    let before = world.customer("ada").await;
    world.workers(&before, "agt_old").await;
    let mut ada = world.person("ada");

    // the first orchestrator lets go, so that another organisation of it can have the account
    let page = ada.open("/connections").await;
    assert!(page.body.contains("Test &#38; Co") && !page.body.contains(&before.account), "{}", page.text());
    let cut = cut_form(&page);
    let page = ada.browser.press(&cut, "").await;
    assert!(page.body.contains("cut"), "{}", page.text());

    let request = world.asked("ada@example.test", "org_two").await;
    let path = world.page_for(&request).await;
    let page = ada.open(&path).await;
    assert_eq!(page.status, 200, "{}", page.text());
    for said in [
        "Test &#38; Co",
        "ada@example.test",
        "buy plans and domains",
        &before.account,
        world.stub.url().as_str(),
        &world.stub.attestor().key.public().thumbprint(),
    ] {
        assert!(page.body.contains(said), "the page does not say `{said}`: {}", page.text());
    }
    let at = accept(&mut ada, &page, &before.account).await;
    assert!(at.path.starts_with(world.config.orchestrator.callback_url.as_str()), "{}", at.path);
    assert_eq!(parameter(&at, "state").as_deref(), Some(format!("{CONFIRMATION}org_two").as_str()));
    assert_eq!(parameter(&at, "iss").as_deref(), Some(world.config.public_url.as_str().trim_end_matches('/')));

    let tokens = world.exchange(&parameter(&at, "code").unwrap(), Some(VERIFIER)).await.unwrap();
    assert_eq!(tokens.account.as_ref().unwrap().id.as_str(), before.account);
    let customer = Customer { access: tokens.access_token.clone(), account: before.account.clone() };
    let workers = world.workers(&customer, "agt_new").await;
    assert_eq!(world.api(&workers.token, Method::GET, "/user/tokens/verify", None).await.0, StatusCode::OK);

    // the same subject gets the same account again, without a person, and its tokens live on
    let again = world.client.account_request(&world.asked("ada@example.test", "org_two").await).await.unwrap();
    assert!(matches!(again, AccountAnswer::OAuth { .. }), "{again:?}");
    assert!(world.quote(&customer, "registrar:domain", json!({"domain": "shop.test"})).await.is_ok());

    let page = ada.open("/connections").await;
    assert!(page.body.contains("agt_new"), "{}", page.text());
    let page = ada.browser.press(&cut_form(&page), "").await;
    assert!(page.body.contains(&workers.resource), "what was provisioned is gone from the page: {}", page.text());

    let refused = world.quote(&customer, "registrar:domain", json!({"domain": "shop.test"})).await.unwrap_err();
    assert_eq!(refused.code, "unauthorized");
    let refresh = TokenGrant::RefreshToken { refresh_token: tokens.refresh_token.clone().unwrap() };
    assert_eq!(permanent(world.client.token(&refresh).await.unwrap_err()).code, "invalid_grant");
    assert_eq!(world.api(&workers.token, Method::GET, "/user/tokens/verify", None).await.0, StatusCode::UNAUTHORIZED);
    let told = until("the orchestrator to hear of the cut", Duration::from_secs(10), async || {
        world.stub.events().into_iter().find(|e| e.kind == EventKind::AccountUnlinked && e.data["subject"] == "org_two")
    })
    .await;
    assert_eq!(told.account_id.as_str(), before.account);
    assert!(told.data["resources"].as_array().unwrap().contains(&json!(workers.resource)), "{:?}", told.data);
    let after = world.client.account_request(&world.asked("ada@example.test", "org_two").await).await.unwrap();
    assert!(matches!(after, AccountAnswer::RequiresAuth { .. }), "a cut subject came back alone: {after:?}");
}

fn cut_form(page: &Page) -> purser_tests::form::Form {
    let forms = purser_tests::form::Form::all(&page.body);
    forms.into_iter().find(|form| form.action.ends_with("/cut")).unwrap_or_else(|| panic!("nothing can be cut: {}", page.text()))
}

#[tokio::test]
async fn an_owner_may_deny_or_give_a_new_account() {
    let Some(world) = World::start().await else { return };
    let first = world.customer("ada").await;
    let mut ada = world.person("ada");
    let path = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let page = ada.open(&path).await;
    let at = ada.browser.press(&page.form("/link"), "deny").await;
    assert_eq!(parameter(&at, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&at, "code"), None);

    let path = world.page_for(&world.asked("ada@example.test", "org_three").await).await;
    let page = ada.open(&path).await;
    let at = accept(&mut ada, &page, "new").await;
    let tokens = world.exchange(&parameter(&at, "code").unwrap(), Some(VERIFIER)).await.unwrap();
    assert_ne!(tokens.account.unwrap().id.as_str(), first.account);
    // both are hers
    let page = ada.open("/connections").await;
    assert!(page.body.contains(&first.account), "{}", page.text());
}

#[tokio::test]
async fn an_unclaimed_owner_is_told_by_mail_and_claims_the_account_by_signing_in() {
    let Some(world) = World::start().await else { return };
    let opened = world.customer("ada").await;
    let mut ada = world.person("ada");
    let mail = until("a mail", Duration::from_secs(10), async || ada.mails().into_iter().next()).await;
    assert!(mail.contains("opened") && mail.contains("/connections"), "{mail}");
    let page = ada.open("/connections").await;
    assert!(page.body.contains("Test &#38; Co") && !page.body.contains(&opened.account), "{}", page.text());
}

#[tokio::test]
async fn a_connection_does_what_its_scopes_say_and_no_more() {
    let Some(world) = World::start().await else { return };
    let mut request = world.account_request("ada@example.test", "org_reader").await;
    request.scopes = vec!["resources:read".to_owned()];
    let reader = world.redeem(&request).await;
    let refused = world.create(&reader, &order("workers:free", json!({}), "agt_1"), "k").await.unwrap_err();
    assert_eq!(refused.code, "insufficient_scope");
    assert!(world.quote(&reader, "registrar:domain", json!({"domain": "shop.test"})).await.is_ok());

    let mut strange = world.account_request("bob@example.test", "org_strange").await;
    strange.scopes = vec!["tokens:mint".to_owned()];
    assert_eq!(permanent(world.client.account_request(&strange).await.unwrap_err()).code, "invalid_scope");
}

#[tokio::test]
async fn a_standard_client_finds_the_page_and_redeems_with_an_assertion() {
    let Some(world) = World::start().await else { return };
    world.customer("ada").await;
    let http = purser_tests::browser::client();
    let base = world.config.public_url.clone();
    let metadata: serde_json::Value =
        http.get(base.join(".well-known/oauth-authorization-server").unwrap()).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], base.as_str().trim_end_matches('/'));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);

    let path = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let state = Url::parse(&format!("http://x{path}")).unwrap().query_pairs().find(|(n, _)| n == "state").unwrap().1.into_owned();
    let challenge = b64url(Sha256Digest::of(VERIFIER.as_bytes()).as_bytes());
    let mut authorize = Url::parse(metadata["authorization_endpoint"].as_str().unwrap()).unwrap();
    authorize
        .query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", world.stub.url().as_str())
        .append_pair("redirect_uri", world.config.orchestrator.callback_url.as_str())
        .append_pair("state", &state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    let mut ada = world.person("ada");
    let page = ada.open(&format!("{}?{}", authorize.path(), authorize.query().unwrap())).await;
    let at = accept(&mut ada, &page, "new").await;
    let code = parameter(&at, "code").unwrap();

    let assertion = |aud: &str, jti: &str| {
        let now = Env::system().now().as_secs();
        let issuer = world.stub.url().to_string();
        let claims = json!({"iss": issuer, "sub": issuer, "aud": aud, "jti": jti, "iat": now, "exp": now + 60});
        world.stub.attestor().key.sign("JWT", &claims).unwrap()
    };
    let token_url = metadata["token_endpoint"].as_str().unwrap().to_owned();
    let redeem = async |assertion: Option<String>| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", &code).append_pair("code_verifier", VERIFIER);
        if let Some(assertion) = assertion {
            form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            form.append_pair("client_assertion", &assertion);
        }
        let request = http.post(&token_url).header("content-type", "application/x-www-form-urlencoded").body(form.finish());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let issuer = metadata["issuer"].as_str().unwrap();
    assert_eq!(redeem(None).await.0, 401, "a code and a verifier alone were enough");
    assert_eq!(redeem(Some(assertion("https://other.example", "1"))).await.1["error"], "invalid_client");
    let (status, tokens) = redeem(Some(assertion(issuer, "2"))).await;
    assert_eq!((status, tokens["token_type"].as_str()), (200, Some("bearer")), "{tokens}");
    assert!(tokens["scope"].as_str().unwrap().contains("resources:write"), "{tokens}");
    assert_eq!(redeem(Some(assertion(issuer, "2"))).await.1["error"], "invalid_client", "an assertion was taken twice");
}

#[tokio::test]
async fn links_and_people_outlive_a_restart() {
    let Some(world) = World::start().await else { return };
    let opened = world.customer("ada").await;
    let path = world.page_for(&world.asked("ada@example.test", "org_two").await).await;
    let world = world.restart().await;
    let mut ada = world.person("ada");
    let page = ada.open(&path).await;
    let at = accept(&mut ada, &page, "new").await;
    let code = parameter(&at, "code").unwrap();
    let world = world.restart().await;
    assert!(world.exchange(&code, Some(VERIFIER)).await.is_ok());
    assert!(world.quote(&opened, "registrar:domain", json!({"domain": "shop.test"})).await.is_ok(), "the older link died");
}
