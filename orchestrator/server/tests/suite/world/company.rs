//! A company's OpenID provider on this machine, which does as it is told: for what an honest one never says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use http::{HeaderMap, StatusCode, header};
use purser_authority::Role;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_identity::sso::{Connection, RoleRule};
use purser_server::sso::{ClientAuth, SsoClient};
use purser_values::id::OrganisationId;
use purser_values::{Env, Secret, Sha256Digest};
use serde_json::{Value, json};

use super::{Answer, Browser};

const SECRET: &str = "a secret of the company & ours: 1+1";
pub const ACCESS: &str = "the-access-token";

type Forge = Arc<dyn Fn(&Value, &SigningKey) -> String + Send + Sync>;

#[derive(Clone)]
pub struct Company {
    pub url: String,
    pub name: &'static str,
    pub required: bool,
    pub confirms: bool,
    pub organisation: Option<OrganisationId>,
    pub roles: Vec<(&'static str, Role)>,
    pub state: Arc<Mutex<State_>>,
}

pub struct State_ {
    env: Env,
    pub key: SigningKey,
    /// What is published, if it is not that key.
    pub keys: Option<Value>,
    /// What waits for its code: the challenge and the claims of the ID token.
    codes: HashMap<String, (String, Value)>,
    /// What userinfo says.
    pub userinfo: Value,
    /// Whether it looks at the verifier, as it should.
    pub checks_pkce: bool,
    pub is_down: bool,
    pub names_itself: bool,
    /// Whether it has a page for signing out.
    pub says_goodbye: bool,
    /// Makes the ID token from its claims.
    pub forge: Forge,
}

impl Company {
    pub async fn start(name: &'static str, env: &Env) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State_ {
            env: env.clone(),
            key: SigningKey::generate(Algorithm::Es256).unwrap(),
            keys: None,
            codes: HashMap::new(),
            userinfo: json!({}),
            checks_pkce: true,
            is_down: false,
            names_itself: false,
            says_goodbye: true,
            forge: Arc::new(|claims, key| key.sign("JWT", claims).unwrap()),
        }));
        let company = Self { url, name, required: false, confirms: true, organisation: None, roles: vec![], state };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(company.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        company
    }

    pub fn origin(&self) -> purser_http::fetch::Origin {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub fn connection(&self) -> Connection {
        Connection {
            name: self.name.parse().unwrap(),
            label: format!("{} Ltd", self.name),
            issuer: self.url.clone(),
            client_id: "purser".to_owned(),
            domains: vec![format!("{}.test", self.name).parse().unwrap()],
            required: self.required,
            organisation: self.organisation.clone(),
            groups_claim: "groups".to_owned(),
            roles: self.roles.iter().map(|(group, role)| RoleRule { group: (*group).to_owned(), role: *role }).collect(),
            default_role: None,
            confirms: self.confirms,
        }
    }

    pub fn client(&self) -> SsoClient {
        SsoClient { auth: ClientAuth::Secret(Secret::new(SECRET.to_owned())), scopes: vec!["groups".to_owned()] }
    }

    pub fn forge(&self, forge: impl Fn(&Value, &SigningKey) -> String + Send + Sync + 'static) {
        self.state.lock().unwrap().forge = Arc::new(forge);
    }

    /// The page of ours at which a person comes back who was sent there, and what it is given.
    pub fn answer(&self, asked: &Asked, subject: &str, change: &[(&str, Value)]) -> String {
        let mut state = self.state.lock().unwrap();
        let now = state.env.now().as_secs();
        let mut claims = json!({
            "iss": self.url, "sub": subject, "aud": "purser", "iat": now, "exp": now + 300, "nonce": asked.get("nonce"),
            "auth_time": now, "amr": ["pwd", "mfa"], "email": format!("{subject}@{}.test", self.name), "email_verified": true,
            "at_hash": b64url(&Sha256Digest::of(ACCESS.as_bytes()).as_bytes()[..16]),
        });
        for (name, value) in change {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(*name);
            } else {
                claims[*name] = value.clone();
            }
        }
        let code = b64url(&state.env.bytes::<16>());
        state.codes.insert(code.clone(), (asked.get("code_challenge"), claims));
        let back = asked.get("redirect_uri").strip_prefix("http://localhost:4000").unwrap().to_owned();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", &code).append_pair("state", &asked.get("state"));
        if state.names_itself {
            query.append_pair("iss", &self.url);
        }
        format!("{back}?{}", query.finish())
    }

    /// Sends a browser from the sign-in page to the company.
    pub async fn asked(&self, browser: &mut Browser, next: &str) -> Asked {
        let page = browser.get(&format!("/sign-in?next={next}")).await;
        let at = (0..page.body.matches("<form").count()).find(|at| page.form(*at).0 == format!("/sign-in/sso/{}", self.name));
        let leave = browser.submit(&page, at.expect("a button for the company"), &[], None).await;
        Asked::on(&leave)
    }

    /// The whole sign-in.
    pub async fn sign_in(&self, browser: &mut Browser, subject: &str, change: &[(&str, Value)]) -> Answer {
        let asked = self.asked(browser, "/agents").await;
        browser.get(&self.answer(&asked, subject, change)).await
    }
}

/// The address at the company to which a browser is sent.
#[derive(Clone, Debug)]
pub struct Asked(pub url::Url);

impl Asked {
    pub fn on(page: &Answer) -> Self {
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let to = page.body.split("content=\"0;url=").nth(1).unwrap_or_else(|| panic!("no way on: {}", page.body));
        Self(url::Url::parse(&to.split('"').next().unwrap().replace("&#38;", "&")).unwrap())
    }

    pub fn get(&self, name: &str) -> String {
        self.0.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
    }
}

async fn metadata(State(company): State<Company>) -> (StatusCode, Json<Value>) {
    let url = &company.url;
    let state = company.state.lock().unwrap();
    let status = if state.is_down { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
    let goodbye = state.says_goodbye.then(|| format!("{url}/bye"));
    let metadata = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize?tenant=1"), "token_endpoint": format!("{url}/token"),
        "end_session_endpoint": goodbye, "jwks_uri": format!("{url}/keys"), "userinfo_endpoint": format!("{url}/userinfo"),
        "authorization_response_iss_parameter_supported": state.names_itself,
    });
    (status, Json(metadata))
}

async fn keys(State(company): State<Company>) -> Json<Value> {
    let state = company.state.lock().unwrap();
    Json(state.keys.clone().unwrap_or_else(|| json!({ "keys": [state.key.public()] })))
}

async fn userinfo(State(company): State<Company>, headers: HeaderMap) -> Json<Value> {
    assert_eq!(headers[header::AUTHORIZATION], format!("Bearer {ACCESS}"));
    Json(company.state.lock().unwrap().userinfo.clone())
}

async fn token(State(company): State<Company>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("purser:{}", encode(SECRET)));
    let mut state = company.state.lock().unwrap();
    let refused = |why: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": why })));
    if headers.get(header::AUTHORIZATION).is_none_or(|found| *found != format!("Basic {basic}")) {
        return refused("invalid_client");
    }
    let Some((challenge, claims)) = form.get("code").and_then(|code| state.codes.remove(code)) else { return refused("invalid_grant") };
    let verifier = form.get("code_verifier").cloned().unwrap_or_default();
    if state.checks_pkce && b64url(Sha256Digest::of(verifier.as_bytes()).as_bytes()) != challenge {
        return refused("invalid_grant");
    }
    let token = (state.forge)(&claims, &state.key);
    (StatusCode::OK, Json(json!({ "access_token": ACCESS, "token_type": "Bearer", "id_token": token, "expires_in": 300 })))
}
