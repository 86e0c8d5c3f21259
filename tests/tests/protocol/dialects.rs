//! Every answer that known providers give to account requests and at their token endpoints, in the dialect of each: a small server
//! says it word for word, and the orchestrator's client says what it means.

use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use purser_client::{CallError, Discovery, Identity, ProviderClient, ProviderEndpoint, Signer};
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_values::{Env, Secret};
use purser_wire::account::{AccountAnswer, AccountRequest, Orchestrator};
use purser_wire::pkce;
use purser_wire::token::{TokenGrant, TokenSet};
use serde_json::{Value, json};
use url::Url;

/// One request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A server with one answer.
struct Fake {
    base_url: Url,
    fetcher: Fetcher,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    async fn says(status: u16, body: Value) -> Self {
        Self::answers(move |_| (StatusCode::from_u16(status).unwrap(), axum::Json(body.clone())).into_response()).await
    }

    async fn answers(answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = Url::parse(&format!("http://{}/api/agentic/", listener.local_addr().unwrap())).unwrap();
        let noted = seen.clone();
        let handler = move |OriginalUri(uri): OriginalUri, headers: HeaderMap, body: Bytes| {
            noted.lock().unwrap().push(Seen { path: uri.path().to_owned(), headers, body: body.to_vec() });
            let answer = answer(uri.path());
            async move { answer }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        let fetcher = Fetcher::new(vec![Origin::of(&base_url).unwrap()]).unwrap();
        Self { base_url, fetcher, seen }
    }

    fn client(&self) -> ProviderClient {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let signer =
            Signer { identity: Identity::Secret("whsec_dialects".to_owned().into()), keys: std::sync::Arc::new(key), env: Env::system() };
        let endpoint = ProviderEndpoint { base_url: self.base_url.clone(), token_url: self.base_url.join("oauth/token").unwrap() };
        ProviderClient::new(self.fetcher.clone(), endpoint, signer)
    }

    async fn asked(&self) -> Result<AccountAnswer, CallError> {
        self.client().account_request(&request()).await
    }

    async fn redeemed(&self) -> Result<TokenSet, CallError> {
        let grant = TokenGrant::AuthorizationCode { code: "code".to_owned().into(), code_verifier: Some(verifier()) };
        self.client().token(&grant).await
    }

    async fn refreshed(&self) -> Result<TokenSet, CallError> {
        self.client().token(&TokenGrant::RefreshToken { refresh_token: "old".to_owned().into() }).await
    }
}

fn verifier() -> Secret<String> {
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned().into()
}

fn request() -> AccountRequest {
    let (id, email) = ("arq_1".parse().unwrap(), "ada@example.test".parse().unwrap());
    let until = Env::system().now().plus_secs(600);
    let mut request = AccountRequest::new(id, email, Orchestrator::new("org_1", "org_1"), "confirm".to_owned().into(), until);
    request.challenge(&verifier());
    request
}

fn refusal(e: &CallError) -> (&str, String) {
    match e {
        CallError::Permanent { error, .. } => (&error.code, error.message.clone()),
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test]
async fn a_request_carries_what_every_dialect_demands() {
    let fake = Fake::says(200, json!({"id": "arq_1", "type": "oauth", "oauth": {"code": "c"}})).await;
    assert!(matches!(fake.asked().await.unwrap(), AccountAnswer::OAuth { .. }));
    let seen = fake.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.path, "/api/agentic/provisioning/account_requests");
    assert_eq!(seen.headers["api-version"], "0.1d");
    let signature = seen.headers["stripe-signature"].to_str().unwrap();
    assert!(signature.starts_with("t=") && signature.matches(",v1=").count() == 1 && !signature.contains(' '), "{signature}");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["object"], "account_request");
    assert_eq!(body["code_challenge"], pkce::challenge(&verifier()));
    assert_eq!(body["code_challenge_method"], "S256");
    assert!(body["expires_at"].as_str().unwrap().ends_with('Z'));
    for spelling in ["account", "organization", "organisation"] {
        assert_eq!(body["orchestrator"]["stripe"][spelling], "org_1", "{body}");
    }
    for list in ["scopes", "client_capabilities"] {
        assert!(body[list].is_array(), "{body}");
    }
}

#[tokio::test]
async fn both_forms_of_requires_auth_mean_a_page() {
    for form in [
        json!({"id": "arq_1", "type": "requires_auth", "requires_auth": {"type": "redirect", "redirect": {"url": "https://p.example/x?state=s"}}}),
        json!({"type": "requires_auth", "requires_auth": {"url": "https://p.example/x?state=s"}, "error": null, "oauth": null}),
    ] {
        let answer = Fake::says(200, form).await.asked().await.unwrap();
        let AccountAnswer::RequiresAuth { url } = answer else { panic!("{answer:?}") };
        assert_eq!(url.as_str(), "https://p.example/x?state=s");
    }
}

#[tokio::test]
async fn direct_credentials_come_with_or_without_their_optional_parts() {
    let full = json!({"type": "credentials", "credentials": {"type": "bearer", "bearer":
        {"access_token": "a", "refresh_token": "r", "expires_in": 60, "account": {"id": "acct", "payment_credentials": "orchestrator"}}}});
    let sparse = json!({"type": "credentials", "oauth": null, "requires_auth": null, "error": null, "credentials": {"type": "bearer", "bearer":
        {"access_token": "a", "refresh_token": null, "expires_in": null, "account": {"id": "acct", "payment_credentials": null,
            "available_teams": [{"id": 1, "name": "Team"}]}}}});
    for (form, refresh) in [(full, true), (sparse, false)] {
        let answer = Fake::says(200, form).await.asked().await.unwrap();
        let AccountAnswer::Credentials(tokens) = answer else { panic!("{answer:?}") };
        assert_eq!(tokens.account.unwrap().id.as_str(), "acct");
        assert_eq!(tokens.refresh_token.is_some(), refresh);
    }
}

#[tokio::test]
async fn an_orchestrator_that_is_being_registered_is_told_when_to_ask_again() {
    let answer = Fake::says(202, json!({"type": "registering", "retry_after": 7})).await.asked().await.unwrap();
    assert!(matches!(answer, AccountAnswer::Registering { retry_after_s: 7 }), "{answer:?}");
}

#[tokio::test]
async fn information_that_is_needed_comes_with_its_schema() {
    let schema = json!({"type": "object", "properties": {"region": {"enum": ["EU", "US"]}}});
    let form = json!({"type": "needs_information", "needs_information": {"schema": schema}});
    let answer = Fake::says(200, form).await.asked().await.unwrap();
    let AccountAnswer::NeedsInformation { schema: told } = answer else { panic!("{answer:?}") };
    assert_eq!(told, schema);
}

#[tokio::test]
async fn a_refusal_of_an_account_is_one_whatever_its_status_and_envelope() {
    for (status, body, code) in [
        (400, json!({"id": "arq_1", "type": "error", "error": {"code": "expired", "message": "late"}}), "expired"),
        (200, json!({"type": "error", "error": {"code": "account_request_expired", "message": "late"}}), "account_request_expired"),
        (401, json!({"type": "error", "error": {"code": "unauthorized", "message": ""}}), "unauthorized"),
        (401, json!({"error": {"code": "invalid_signature", "message": "no"}}), "invalid_signature"),
        (400, json!({"error": {"code": "invalid_api_version", "message": "0.1d"}}), "invalid_api_version"),
        (403, json!({"type": "error", "error": {"code": "forbidden", "message": "no", "extra": 1}}), "forbidden"),
        (400, json!({"type": "error", "error": {"code": "team_resolution_failed"}}), "team_resolution_failed"),
        (400, json!({"type": "error", "error": {"code": "invalid_scope", "message": null}}), "invalid_scope"),
        (401, json!({"detail": "Invalid signature"}), ""),
        (200, json!({"type": "error", "error": {"message": "no code at all"}}), ""),
    ] {
        let error = Fake::says(status, body.clone()).await.asked().await.unwrap_err();
        assert_eq!(refusal(&error).0, code, "{body}");
    }
    let busy = Fake::answers(|_| {
        let body = json!({"type": "error", "error": {"code": "rate_limited", "message": "slow down"}});
        (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "9")], axum::Json(body)).into_response()
    });
    assert!(matches!(busy.await.asked().await, Err(CallError::Transient { retry_after: Some(9), .. })));
    let failed = Fake::says(500, json!({"type": "error", "error": {"code": "account_creation_failed", "message": ""}})).await;
    assert!(failed.asked().await.unwrap_err().is_transient(), "what failed on their side is not given up");
}

#[tokio::test]
async fn a_frameworks_list_of_faults_is_told_without_the_request_that_it_repeats() {
    let body = json!({"detail": [{"type": "missing", "loc": ["body", "orchestrator", "stripe", "organisation"], "msg": "Field required",
        "input": {"confirmation_secret": "hunter2"}}]});
    let error = Fake::says(422, body).await.asked().await.unwrap_err();
    assert_eq!(refusal(&error).1, "body.orchestrator.stripe.organisation: Field required");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn an_answer_without_sense_is_garbage_and_names_no_value() {
    for body in [
        json!({"type": "requires_auth", "requires_auth": {"type": "redirect", "redirect": {"url": "not an address"}}}),
        json!({"type": "requires_auth"}),
        json!({"type": "credentials", "credentials": {"type": "bearer", "bearer": {"access_token": "", "account": {"id": "hunter2"}}}}),
        json!({"type": "oauth", "oauth": {"code": ""}}),
        json!({"type": "hunter", "hunter2": true}),
        json!({"id": "arq_2", "type": "oauth", "oauth": {"code": "hunter2"}}),
        json!([]),
    ] {
        let error = Fake::says(200, body.clone()).await.asked().await.unwrap_err();
        assert!(matches!(error, CallError::Garbage { .. }), "{body}: {error}");
        assert!(!error.to_string().contains("\"hunter2\""), "{error}");
    }
}

#[tokio::test]
async fn a_code_is_redeemed_with_its_verifier_and_a_signature() {
    let tokens =
        json!({"token_type": "bearer", "access_token": "a", "refresh_token": "r", "expires_in": 31_536_000, "account": {"id": "acct"}});
    let fake = Fake::says(200, tokens).await;
    assert_eq!(fake.redeemed().await.unwrap().account.unwrap().id.as_str(), "acct");
    let seen = fake.seen.lock().unwrap().pop().unwrap();
    assert_eq!(
        (seen.path.as_str(), &seen.headers["content-type"]),
        ("/api/agentic/oauth/token", &"application/x-www-form-urlencoded".parse().unwrap())
    );
    assert!(seen.headers.contains_key("stripe-signature"));
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&seen.body).into_owned().collect();
    assert!(form.contains(&("code_verifier".to_owned(), verifier().expose().clone())), "{form:?}");
    // a refresh may leave the account out, and an optional member may be null
    let bare =
        Fake::says(200, json!({"token_type": null, "access_token": "a2", "refresh_token": "r2", "expires_in": 60, "account": null})).await;
    assert!(bare.refreshed().await.unwrap().account.is_none());
    let strange = Fake::says(200, json!({"token_type": "mac", "access_token": "a"})).await;
    assert!(matches!(strange.redeemed().await, Err(CallError::Garbage { .. })), "a token of an unknown type was taken");
}

#[tokio::test]
async fn a_token_endpoint_says_no_in_any_of_its_forms() {
    for (status, body, code) in [
        (400, json!({"error": "invalid_grant", "error_description": "used"}), "invalid_grant"),
        (400, json!({"error": "invalid_grant"}), "invalid_grant"),
        (401, json!({"error": "invalid_request", "error_description": "no verifier"}), "invalid_request"),
        (401, json!({"error": "invalid_client"}), "invalid_client"),
        (400, json!({"error": "unsupported_grant_type"}), "unsupported_grant_type"),
        (401, json!({"error": {"code": "invalid_signature", "message": "bad"}}), "invalid_signature"),
        (400, json!({"detail": "unsupported grant type"}), ""),
    ] {
        let error = Fake::says(status, body.clone()).await.redeemed().await.unwrap_err();
        assert_eq!(refusal(&error).0, code, "{body}");
    }
    // a bare 401 of a framework to a refresh is what others call `invalid_grant`
    let over = Fake::says(401, json!({"detail": "Invalid refresh token"})).await;
    assert_eq!(refusal(&over.refreshed().await.unwrap_err()).0, "invalid_grant");
    assert_eq!(refusal(&over.redeemed().await.unwrap_err()).0, "");
    let limited = Fake::says(429, json!({"type": "error", "error": {"code": "rate_limited", "message": ""}})).await;
    assert!(limited.redeemed().await.unwrap_err().is_transient());
}

#[tokio::test]
async fn an_authorization_server_is_found_below_the_base_or_where_the_rfc_puts_it() {
    for place in ["/api/agentic/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/api/agentic"] {
        let issuer: Arc<OnceLock<String>> = Arc::default();
        let named = issuer.clone();
        let fake = Fake::answers(move |path| match named.get().filter(|_| path == place) {
            Some(issuer) => axum::Json(json!({"issuer": issuer, "authorization_response_iss_parameter_supported": true})).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        });
        let fake = fake.await;
        issuer.set(fake.base_url.as_str().trim_end_matches('/').to_owned()).unwrap();
        let metadata = found(&fake).await.unwrap().unwrap();
        assert!(metadata.authorization_response_iss_parameter_supported && metadata.issuer == *issuer.get().unwrap());
    }
    let foreign = Fake::says(200, json!({"issuer": "https://evil.example", "authorization_response_iss_parameter_supported": true})).await;
    assert!(found(&foreign).await.is_err(), "a provider speaks as an issuer of another origin");
    let down = Fake::says(503, json!({})).await;
    assert!(found(&down).await.is_err(), "no answer is taken for no document");
    let html = Fake::answers(|_| "<html>".into_response()).await;
    assert_eq!(found(&html).await.unwrap(), None);
}

async fn found(fake: &Fake) -> Result<Option<purser_wire::metadata::ServerMetadata>, purser_client::DiscoveryError> {
    Discovery::new(fake.fetcher.clone()).authorization_server(&fake.base_url).await
}
