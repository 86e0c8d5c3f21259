//! A provider that publishes a service and terms, and changes these when a test wants it.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use purser_client::Identity;
use purser_provisioning::Gateway;
use purser_provisioning::gateway::Configured;
use purser_values::{Secret, Sha256Digest};
use serde_json::{Value, json};

use super::{World, api};

#[derive(Clone)]
pub struct Publisher {
    name: String,
    url: String,
    version: Arc<Mutex<String>>,
    gateway: Gateway,
    configured: Configured,
}

impl World {
    /// A provider of that name with the free service `site`. The API of the world deals with it, and with nobody else, from now on.
    pub async fn publisher(&mut self, name: &str) -> Publisher {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let url = format!("http://{at}/");
        let identity = Identity::Secret(Secret::new("shared".to_owned()));
        let configured = Configured { name: name.parse().unwrap(), url: url.parse().unwrap(), identity };
        let fetcher = purser_http::Fetcher::new(vec![at.to_string().parse().unwrap()]).unwrap();
        let (core, realm) = (&self.front.core, &self.front.realm);
        let gateway = Gateway::new(fetcher, Arc::new(realm.keys.clone()), core.env.clone(), vec![configured.clone()]);
        let version = Arc::new(Mutex::new(String::new()));
        let publisher = Publisher { name: name.to_owned(), url, version, gateway: gateway.clone(), configured };
        let routes = Router::new()
            .route("/.well-known/agentic-provider.json", get(|State(p): State<Publisher>| async move { Json(p.manifest()) }))
            .route("/terms", get(|State(p): State<Publisher>| async move { p.text() }))
            .route("/provisioning/services", get(|| async { Json(services()) }))
            .with_state(publisher.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        publisher.publish(self, "1").await;
        self.api = api::router_with(&self.front, self.folder.path(), gateway);
        publisher
    }
}

fn services() -> Value {
    json!({ "data": [{ "id": "site", "description": "A site", "categories": ["compute"], "kind": "deployable", "pricing": { "type": "free" } }] })
}

impl Publisher {
    fn text(&self) -> String {
        format!("be good, version {}", self.version.lock().unwrap())
    }

    fn manifest(&self) -> Value {
        let terms = json!([{
            "id": "terms", "title": "Terms", "url": format!("{}terms", self.url), "version": *self.version.lock().unwrap(),
            "sha256": Sha256Digest::of(self.text().as_bytes()),
        }]);
        json!({ "name": self.name, "base_url": self.url, "token_url": format!("{}oauth/token", self.url), "terms": terms })
    }

    /// Changes its terms; the orchestrator looks at once.
    pub async fn publish(&self, world: &World, version: &str) {
        version.clone_into(&mut self.version.lock().unwrap());
        self.gateway.refresh(&world.front.core, &self.configured).await.unwrap();
    }
}
