//! A provider of the world that is known by its manifest, and calls back with its signature.

use axum::routing::get;
use axum::{Json, Router};
use http::{Request, StatusCode};
use purser_client::Identity;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_provisioning::Gateway;
use purser_provisioning::gateway::Configured;
use purser_values::{Env, Secret};
use purser_wire::signature::message::{self, Message};
use serde_json::json;

use super::{World, answer, api};

/// Its key, and the API of an orchestrator that knows it.
pub struct Provider {
    key: SigningKey,
    env: Env,
    issuer: String,
    api: Router,
}

impl World {
    pub async fn provider(&self, name: &str) -> Provider {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let url = format!("http://{at}/");
        let manifest = json!({ "name": name, "base_url": url, "token_url": format!("{url}oauth/token"), "keys": [key.public()] });
        let routes = Router::new()
            .route("/.well-known/agentic-provider.json", get(move || async move { Json(manifest) }))
            .route("/provisioning/services", get(|| async { Json(json!({ "data": [] })) }));
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let identity = Identity::Secret(Secret::new("shared".to_owned()));
        let configured = Configured { name: name.parse().unwrap(), url: url.parse().unwrap(), identity };
        let fetcher = purser_http::Fetcher::new(vec![at.to_string().parse().unwrap()]).unwrap();
        let (core, realm) = (&self.front.core, &self.front.realm);
        let gateway = Gateway::new(fetcher, std::sync::Arc::new(realm.keys.clone()), core.env.clone(), vec![configured.clone()]);
        gateway.refresh(core, &configured).await.unwrap();
        let api = api::router_with(&self.front, self.folder.path(), gateway);
        Provider { key, env: self.env.clone(), issuer: realm.issuer.to_string(), api }
    }
}

impl Provider {
    /// One signed call.
    pub async fn call(&self, method: &str, path: &str, content: &str, body: String) -> StatusCode {
        self.send(method, path, "once", content, body).await.status
    }

    /// One signed message under a key of its own, with the answer.
    #[allow(dead_code, reason = "each suite uses its own part")]
    pub async fn post(&self, path: &str, key: &str, body: String) -> (StatusCode, serde_json::Value) {
        let answer = self.send("POST", path, key, "application/json", body).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    async fn send(&self, method: &str, path: &str, key: &str, content: &str, body: String) -> super::Answer {
        let target = format!("{}{}", self.issuer, path.split('?').next().unwrap());
        let sent = Message { method, target_uri: &target, idempotency_key: key, body: body.as_bytes() };
        let mut request = Request::builder().method(method).uri(path).header("content-type", content);
        for (name, value) in message::sign(&self.key, sent, &self.env).unwrap() {
            request = request.header(name, value);
        }
        answer(&self.api, request.body(body.into()).unwrap()).await
    }
}
