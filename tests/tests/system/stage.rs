//! A provider that says, word for word, what a test gives it to say to account requests and at its token endpoint. Everything else
//! about it is as plain as can be: one free service, no extension.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_provider::OrchestratorClient;
use purser_values::{Env, Sha256Digest};
use serde_json::{Map, Value, json};
use url::Url;

const TERMS: &[u8] = b"all the world";

type Play = Arc<dyn Fn(&Value) -> (u16, Value) + Send + Sync>;

pub struct Stage {
    pub name: &'static str,
    pub address: SocketAddr,
    pub base_url: Url,
    pub orchestrator: OrchestratorClient,
    key: SigningKey,
    play: Mutex<HashMap<&'static str, Play>>,
    /// What arrived, by the last part of its path.
    seen: Mutex<Vec<(String, Value)>>,
    /// Whether each of them was signed with a shared secret.
    signed: Mutex<Vec<bool>>,
    promises_iss: bool,
}

impl Stage {
    /// Listens. What it says until it is told otherwise is an error.
    pub async fn start(name: &'static str, orchestrator: &Url, promises_iss: bool) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let fetcher = Fetcher::new(vec![Origin::of(orchestrator).unwrap()]).unwrap();
        let stage = Arc::new(Self {
            name,
            address,
            base_url: Url::parse(&format!("http://{address}/")).unwrap(),
            orchestrator: OrchestratorClient::new(fetcher, orchestrator.clone(), key.clone(), Env::system()),
            key,
            play: Mutex::default(),
            seen: Mutex::default(),
            signed: Mutex::default(),
            promises_iss,
        });
        let routes = Router::new().fallback(answer).with_state(stage.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        stage
    }

    /// What to say from now on where the path ends in `account_requests` or `token`.
    pub fn says(&self, to: &'static str, play: impl Fn(&Value) -> (u16, Value) + Send + Sync + 'static) {
        self.play.lock().unwrap().insert(to, Arc::new(play));
    }

    /// What was asked there, in its order.
    pub fn asked(&self, what: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(path, _)| path == what).map(|(_, body)| body.clone()).collect()
    }

    /// Whether anything that arrived was signed with a shared secret.
    pub fn met_a_secret(&self) -> bool {
        self.signed.lock().unwrap().contains(&true)
    }

    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    pub fn issuer(&self) -> String {
        self.base_url.as_str().trim_end_matches('/').to_owned()
    }

    /// A page of this provider with a state.
    pub fn page(&self, state: &str) -> String {
        format!("{}agree?state={state}&scope=all", self.base_url)
    }

    fn manifest(&self) -> Value {
        json!({
            "name": self.name, "base_url": self.base_url, "token_url": self.base_url.join("oauth/token").unwrap(),
            "keys": [self.key.public()],
            "terms": [{"id": "tos", "title": "Terms", "url": self.base_url.join("terms").unwrap(), "version": "1", "sha256": Sha256Digest::of(TERMS)}],
        })
    }
}

/// A token answer for an account.
pub fn tokens(account: &str, expires_in: i64) -> Value {
    let fresh = || purser_crypto::encoding::b64url(&Env::system().bytes::<18>());
    json!({"token_type": "bearer", "access_token": fresh(), "refresh_token": fresh(), "expires_in": expires_in,
        "account": {"id": account, "payment_credentials": "provider"}})
}

async fn answer(State(stage): State<Arc<Stage>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().trim_matches('/').to_owned();
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    let json = |status: u16, body: Value| (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    let read = if headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded") {
        Value::Object(url::form_urlencoded::parse(&body).map(|(n, v)| (n.into_owned(), json!(v))).collect::<Map<_, _>>())
    } else {
        serde_json::from_slice(&body).unwrap_or_default()
    };
    stage.signed.lock().unwrap().push(headers.contains_key(purser_wire::header::SIGNATURE));
    if method == Method::POST {
        stage.seen.lock().unwrap().push((last.clone(), read.clone()));
    }
    match (path.as_str(), last.as_str()) {
        (".well-known/agentic-provider.json", _) => json(200, stage.manifest()),
        (".well-known/oauth-authorization-server", _) if stage.promises_iss => {
            json(200, json!({"issuer": stage.issuer(), "authorization_response_iss_parameter_supported": true}))
        }
        ("terms", _) => TERMS.into_response(),
        ("provisioning/services", _) => json(
            200,
            json!({"data": [{"id": "greeting", "description": "a greeting", "categories": ["messaging"], "kind": "deployable", "pricing": {"type": "free"}}]}),
        ),
        ("provisioning/resources", _) => {
            let id = format!("res_{}", stage.asked("resources").len());
            json(200, json!({"status": "complete", "id": id, "complete": {"access_configuration": {"greeting_key": "hello"}}}))
        }
        (_, "remove") => json(200, json!({"status": "removed", "id": path.split('/').nth(2)})),
        (_, what @ ("account_requests" | "token")) => {
            let play = stage.play.lock().unwrap().get(what).cloned();
            let (status, said) =
                play.map_or_else(|| (400, json!({"error": {"code": "silent", "message": "nothing to say"}})), |play| play(&read));
            json(status, said)
        }
        _ => json(404, json!({"detail": "Not Found"})),
    }
}
