//! The orchestrator's client and a provider on the SDK, over real HTTP: the whole exchange, repeats, replays and faults.

use crate::shop::{Bugs, Running, SECRET};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use purser_client::{CallError, ControlError, Discovery, DiscoveryError, Identity, ProviderClient, ProviderEndpoint, Signer};
use purser_conformance::Payment as _;
use purser_provider::MemoryStore;
use purser_values::{Env, Secret};
use purser_wire::account::{AccountAnswer, AccountRequest, Orchestrator};
use purser_wire::assertion::IdentityAssertion;
use purser_wire::control::{AccountControl, ControlOrder};
use purser_wire::quote::QuoteRequest;
use purser_wire::resource::{AgentRef, CreateResource, PaymentCredentials, ResourceEnvelope, ResourceState};
use purser_wire::signature::{hmac, v2};
use purser_wire::token::{TokenGrant, TokenSet};
use serde_json::json;

async fn strict() -> Running {
    Running::with(
        Bugs::default(),
        MemoryStore::default(),
        |config| {
            config.require_v2 = true;
            config.require_assertion = true;
        },
        |router| router,
    )
    .await
}

pub fn client(running: &Running) -> ProviderClient {
    let signer = Signer {
        identity: Identity::Secret(SECRET.to_owned().into()),
        keys: std::sync::Arc::new(running.stub.attestor().key),
        env: Env::system(),
    };
    let endpoint = ProviderEndpoint { base_url: running.base_url.clone(), token_url: running.base_url.join("oauth/token").unwrap() };
    ProviderClient::new(running.fetcher.clone(), endpoint, signer)
}

/// An account request with an assertion that the shop takes, unless `change` spoils it.
pub async fn request(running: &Running, id: &str, change: impl FnOnce(&mut IdentityAssertion)) -> AccountRequest {
    let manifest = Discovery::new(running.fetcher.clone()).manifest(&running.base_url).await.unwrap();
    let env = Env::system();
    let now = env.now();
    let mut request = AccountRequest::new(
        id.parse().unwrap(),
        "ada@example.test".parse().unwrap(),
        Orchestrator::new("org_1", "org_1"),
        "confirm".to_owned().into(),
        now.plus_secs(600),
    );
    let mut assertion = IdentityAssertion {
        iss: running.stub.url().to_string(),
        aud: manifest.base_url.to_string(),
        sub: "pairwise-1".to_owned(),
        email: request.email.clone(),
        email_verified: true,
        agent_jkt: None,
        terms: manifest.terms.iter().map(|t| t.sha256).collect(),
        jti: purser_crypto::encoding::b64url(&env.bytes::<16>()),
        iat: now.as_secs(),
        exp: now.as_secs() + 300,
    };
    change(&mut assertion);
    request.identity_assertion = Some(assertion.sign(&running.stub.attestor().key).unwrap());
    request
}

pub async fn tokens(client: &ProviderClient, request: &AccountRequest) -> TokenSet {
    let AccountAnswer::OAuth { code } = client.account_request(request).await.unwrap() else { panic!("no code") };
    client.token(&TokenGrant::AuthorizationCode { code, code_verifier: None }).await.unwrap()
}

pub fn greeting() -> CreateResource {
    CreateResource::new("greeting".parse().unwrap(), serde_json::Map::new())
}

pub fn value(envelope: &ResourceEnvelope) -> String {
    match &envelope.state {
        ResourceState::Complete { access_configuration: Some(access), .. } => access.0["greeting_key"].expose().clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_whole_exchange_works_against_a_strict_provider() {
    let running = strict().await;
    let client = client(&running);
    assert!(client.health().await.unwrap().is_usable());
    assert_eq!(client.services().await.unwrap().len(), 2);
    let tokens = tokens(&client, &request(&running, "arq_1", |_| ()).await).await;
    let access = &tokens.access_token;

    let created = client.resource_create(access, &greeting(), &"k1".parse().unwrap()).await.unwrap();
    let id = created.id.clone().unwrap();
    assert_eq!(value(&client.resource_get(access, &id).await.unwrap()), value(&created));
    let rotated = client.resource_rotate(access, &id, &"k2".parse().unwrap()).await.unwrap();
    assert_ne!(value(&rotated), value(&created));
    let removed = client.resource_remove(access, &id, &"k3".parse().unwrap()).await.unwrap();
    assert!(matches!(removed.state, ResourceState::Removed));

    let refresh = TokenGrant::RefreshToken { refresh_token: tokens.refresh_token.clone().unwrap() };
    let newer = client.token(&refresh).await.unwrap();
    assert_eq!(client.token(&refresh).await.unwrap_err().code(), Some("invalid_grant"));
    assert_eq!(client.resource_get(access, &id).await.unwrap_err().code(), Some("unauthorized"));
    assert!(client.resource_get(&newer.access_token, &id).await.is_ok());
}

#[tokio::test]
async fn an_account_asked_for_again_with_the_same_id_is_the_same_account_with_a_fresh_code() {
    let running = strict().await;
    let client = client(&running);
    let first = tokens(&client, &request(&running, "arq_1", |_| ()).await).await;
    let again = tokens(&client, &request(&running, "arq_1", |_| ()).await).await;
    assert_eq!(first.account, again.account);
    assert_ne!(first.access_token.expose(), again.access_token.expose());
}

#[tokio::test]
async fn a_code_used_twice_ends_the_tokens_that_it_bought() {
    let running = strict().await;
    let client = client(&running);
    let AccountAnswer::OAuth { code } = client.account_request(&request(&running, "arq_1", |_| ()).await).await.unwrap() else { panic!() };
    let grant = TokenGrant::AuthorizationCode { code, code_verifier: None };
    let bought = client.token(&grant).await.unwrap();
    assert_eq!(client.token(&grant).await.unwrap_err().code(), Some("invalid_grant"));
    let id = "greet_1".parse().unwrap();
    assert_eq!(client.resource_get(&bought.access_token, &id).await.unwrap_err().code(), Some("unauthorized"));
}

#[tokio::test]
async fn an_assertion_that_is_not_good_in_every_respect_is_refused() {
    let running = strict().await;
    let client = client(&running);
    type Spoil = fn(&mut IdentityAssertion);
    let spoiled: [(&str, Spoil); 6] = [
        ("invalid_assertion", |a| a.aud = "https://other.test/".to_owned()),
        ("invalid_assertion", |a| a.email = "mallory@example.test".parse().unwrap()),
        ("invalid_assertion", |a| a.email_verified = false),
        ("invalid_assertion", |a| a.exp = a.iat - 60),
        ("invalid_assertion", |a| a.exp = a.iat + 3600),
        ("terms_not_accepted", |a| a.terms.clear()),
    ];
    for (code, spoil) in spoiled {
        let error = client.account_request(&request(&running, "arq_1", spoil).await).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
    }
    let mut without = request(&running, "arq_1", |_| ()).await;
    without.identity_assertion = None;
    assert_eq!(client.account_request(&without).await.unwrap_err().code(), Some("invalid_assertion"));
    let good = request(&running, "arq_1", |_| ()).await;
    assert!(client.account_request(&good).await.is_ok());
    assert_eq!(client.account_request(&good).await.unwrap_err().code(), Some("invalid_assertion"), "an assertion was used twice");
}

#[tokio::test]
async fn a_recorded_request_cannot_be_sent_again() {
    let running = strict().await;
    let url = running.base_url.join("provisioning/health").unwrap();
    let env = Env::system();
    let signed = v2::Request { method: "GET", url: url.as_str(), body: b"" };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("stripe-signature", hmac::sign(&SECRET.to_owned().into(), b"", env.now())),
        ("stripe-signature-v2", v2::sign(&running.stub.attestor().key, signed, &env).unwrap()),
        ("api-version", "0.1d".to_owned()),
    ] {
        headers.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    assert_eq!(running.fetcher.get(&url, headers.clone()).await.unwrap().status, 200);
    assert_eq!(running.fetcher.get(&url, headers.clone()).await.unwrap().status, 401, "a replay was taken");
    headers.remove("stripe-signature-v2");
    assert_eq!(running.fetcher.get(&url, headers).await.unwrap().status, 401, "the stronger signature could be left out");
}

#[tokio::test]
async fn a_repeated_change_has_one_effect_and_gets_the_first_answer_also_at_the_same_time() {
    let running = strict().await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let key = "same".parse().unwrap();
    let body = greeting();
    let (a, b, c) = tokio::join!(
        client.resource_create(&access, &body, &key),
        client.resource_create(&access, &body, &key),
        client.resource_create(&access, &body, &key),
    );
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    assert!(a.id == b.id && b.id == c.id && value(&a) == value(&b) && value(&b) == value(&c));
    let mut other = body.clone();
    other.environment = Some("production".to_owned());
    assert_eq!(client.resource_create(&access, &other, &key).await.unwrap_err().code(), Some("idempotency_conflict"));
    // a rotation that is repeated is not a second rotation
    let id = a.id.unwrap();
    let once = client.resource_rotate(&access, &id, &"r".parse().unwrap()).await.unwrap();
    let twice = client.resource_rotate(&access, &id, &"r".parse().unwrap()).await.unwrap();
    assert_eq!(value(&once), value(&twice));
}

#[tokio::test]
async fn a_paid_service_is_quoted_paid_once_and_refused_without_money() {
    let running = strict().await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let mut create = CreateResource::new("gold".parse().unwrap(), serde_json::Map::new());
    let asked = QuoteRequest {
        service_id: create.service_id.clone(),
        configuration: serde_json::Map::new(),
        project_id: None,
        resource_id: None,
        parties: None,
    };
    let quote = client.quote_create(&access, &asked).await.unwrap();
    assert_eq!(quote.total().to_string(), "USD 5.00");
    let unpaid = client.resource_create(&access, &create, &"unpaid".parse().unwrap()).await.unwrap_err();
    assert_eq!(unpaid.code(), Some("requires_payment_credentials"));

    create.quote_id = Some(quote.id);
    for (token, key, paid) in [(running.stub.declined_token(), "declined", false), (running.stub.good_token(), "paid", true)] {
        create.payment_credentials = Some(PaymentCredentials::StripePaymentToken(token.clone()));
        // the stub binds a key to its body, and the shop's key is the quote's: a second token needs a second quote
        create.quote_id = Some(client.quote_create(&access, &asked).await.unwrap().id);
        for _ in 0..2 {
            let answer = client.resource_create(&access, &create, &key.parse().unwrap()).await;
            assert_eq!(answer.is_ok(), paid, "{answer:?}");
        }
        assert_eq!(running.stub.captured(&token).len(), usize::from(paid));
    }
}

#[tokio::test]
async fn controls_are_confirmed_and_can_be_repeated() {
    let running = strict().await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let agent = AgentRef { id: "agt_1".parse().unwrap(), jkt: None, grant: None };
    assert_eq!(client.credentials_disable(&access, &agent, None).await.unwrap(), 1);
    assert_eq!(client.credentials_disable(&access, &agent, None).await.unwrap(), 0);
    assert_eq!(client.credentials_enable(&access, &agent, None).await.unwrap(), 1);
    client.account_freeze(&access, AccountControl::default()).await.unwrap();
    let frozen = client.resource_create(&access, &greeting(), &"k".parse().unwrap()).await.unwrap_err();
    assert_eq!(frozen.code(), Some("account_frozen"));
    client.account_thaw(&access, None).await.unwrap();
    assert!(client.resource_create(&access, &greeting(), &"k2".parse().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_control_that_was_overtaken_on_its_way_undoes_nothing() {
    let running = strict().await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let agent = AgentRef { id: "agt_1".parse().unwrap(), jkt: None, grant: None };
    let order = |number: u64| Some(ControlOrder::try_from(number).unwrap());
    assert_eq!(client.credentials_disable(&access, &agent, order(7)).await.unwrap(), 1);
    let late = client.credentials_enable(&access, &agent, order(6)).await;
    assert_eq!(late, Err(ControlError::Superseded { by: order(7) }));
    assert_eq!(client.credentials_disable(&access, &agent, order(7)).await.unwrap(), 0, "the late call let it go on");
    let other = AgentRef { id: "agt_2".parse().unwrap(), jkt: None, grant: None };
    assert_eq!(client.credentials_disable(&access, &other, order(1)).await.unwrap(), 1, "agents do not wait for each other");
    client.account_freeze(&access, AccountControl { dark: false, order: order(3) }).await.unwrap();
    assert_eq!(client.account_thaw(&access, order(2)).await, Err(ControlError::Superseded { by: order(3) }));
    let frozen = client.resource_create(&access, &greeting(), &"k".parse().unwrap()).await.unwrap_err();
    assert_eq!(frozen.code(), Some("account_frozen"));
    client.account_thaw(&access, order(4)).await.unwrap();
    // whatever the order in which they come, what holds in the end is the highest
    let numbers = [12_u64, 9, 11, 8, 10];
    let calls = numbers.map(|number| {
        let (client, access, agent) = (&client, &access, &agent);
        async move {
            let call = if number % 2 == 0 {
                client.credentials_disable(access, agent, order(number)).await
            } else {
                client.credentials_enable(access, agent, order(number)).await
            };
            assert!(matches!(call, Ok(_) | Err(ControlError::Superseded { .. })), "{call:?}");
        }
    });
    let [a, b, c, d, e] = calls;
    tokio::join!(a, b, c, d, e);
    assert_eq!(client.credentials_disable(&access, &agent, order(12)).await.unwrap(), 0, "number 12 is not in force");
}

#[tokio::test]
async fn a_configuration_against_the_schema_is_refused_by_its_place_and_not_by_its_value() {
    let running = strict().await;
    let client = client(&running);
    let access = tokens(&client, &request(&running, "arq_1", |_| ()).await).await.access_token;
    let mut create = greeting();
    create.configuration.insert("language".to_owned(), json!("hunter2-in-the-wrong-field"));
    let error = client.resource_create(&access, &create, &"k".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_configuration"));
    assert!(error.to_string().contains("configuration/language") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn terms_are_kept_only_as_the_manifest_promises_them() {
    let running = strict().await;
    let discovery = Discovery::new(running.fetcher.clone());
    let mut document = discovery.manifest(&running.base_url).await.unwrap().terms.remove(0);
    assert_eq!(discovery.terms(&document).await.unwrap(), Bytes::from_static(crate::shop::TERMS));
    document.sha256 = purser_values::Sha256Digest::of(b"be evil");
    assert!(matches!(discovery.terms(&document).await, Err(DiscoveryError::TermsChanged { .. })));
}

#[tokio::test]
async fn a_manifest_that_points_elsewhere_is_refused() {
    let lying = |router: axum::Router| {
        let manifest = json!({"name": "tiny", "base_url": "http://169.254.169.254/", "token_url": "http://169.254.169.254/"});
        axum::Router::new()
            .route("/.well-known/agentic-provider.json", axum::routing::get(|| async move { axum::Json(manifest) }))
            .fallback_service(router)
    };
    let running = Running::with(Bugs::default(), MemoryStore::default(), |_| (), lying).await;
    let error = Discovery::new(running.fetcher.clone()).manifest(&running.base_url).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::ForeignOrigin(_)), "{error}");
}

#[tokio::test]
async fn a_provider_that_answers_garbage_500_or_nothing_is_told_apart() {
    let odd = |router: axum::Router| {
        axum::Router::new()
            .route("/provisioning/health", axum::routing::get(|| async { "<html>it works</html>" }))
            .route("/provisioning/services", axum::routing::get(|| async { (http::StatusCode::BAD_GATEWAY, "") }))
            .fallback_service(router)
    };
    let running = Running::with(Bugs::default(), MemoryStore::default(), |_| (), odd).await;
    let client = client(&running);
    assert!(matches!(client.health().await, Err(CallError::Garbage { .. })));
    assert!(client.services().await.unwrap_err().is_transient());
    let closed = "http://127.0.0.1:1/".parse::<url::Url>().unwrap();
    let fetcher = purser_http::Fetcher::new(vec!["127.0.0.1:1".parse().unwrap()]).unwrap();
    let signer = Signer {
        identity: Identity::Secret(Secret::new("x".to_owned())),
        keys: std::sync::Arc::new(running.stub.attestor().key),
        env: Env::system(),
    };
    let nobody = ProviderClient::new(fetcher, ProviderEndpoint { base_url: closed.clone(), token_url: closed }, signer);
    assert!(nobody.health().await.unwrap_err().is_transient());
}
