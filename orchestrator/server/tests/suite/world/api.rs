//! The API of the world: calls with tokens and proofs, terminals of persons, and resources that nobody had to buy.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use purser_authority::Caller;
use purser_db::DbError;
use purser_provisioning::deploy::bundle::Bundles;
use purser_provisioning::store::project;
use purser_provisioning::store::resource::{self, Resource, State};
use purser_provisioning::{App, Gateway};
use purser_server::api::{self, Api, Parts};
use purser_server::front::Front;
use purser_values::id::{AccountId, ResourceId, SagaId};
use serde_json::{Value, json};

use super::{Agent, Browser, World, answer};

/// The API beside the pages, without a provider.
pub fn router(front: &Front, folder: &std::path::Path) -> axum::Router {
    let fetcher = purser_http::Fetcher::new(vec![]).unwrap();
    router_with(front, folder, Gateway::new(fetcher, std::sync::Arc::new(front.realm.keys.clone()), front.core.env.clone(), vec![]))
}

/// Everything that is answered at one address, as the process puts it together.
pub fn surface(front: &Front, folder: &std::path::Path) -> axum::Router {
    let app = app(front, folder);
    let engine = purser_provisioning::sagas(&app);
    let api = Api::new(Parts { app, engine, rails: front.rails.clone(), clients: front.clients.clone() });
    let ops = purser_server::ops::Ops::new(front.core.clone()).unwrap();
    purser_server::surface(front.clone(), api, &ops, purser_http::harden::Dress::new(front.core.env.clone()))
}

/// The parts, without a provider: for the jobs of alerts.
pub fn app(front: &Front, folder: &std::path::Path) -> App {
    let fetcher = purser_http::Fetcher::new(vec![]).unwrap();
    app_with(front, folder, Gateway::new(fetcher, std::sync::Arc::new(front.realm.keys.clone()), front.core.env.clone(), vec![]))
}

fn app_with(front: &Front, folder: &std::path::Path, gateway: Gateway) -> App {
    let bundles = Bundles::open(folder.join("uploads")).unwrap();
    let url = front.realm.issuer.parse().unwrap();
    let mut app = App::new(front.core.clone(), front.realm.clone(), gateway, bundles, url);
    app.outgoing = front.clients.fetcher();
    app
}

pub fn router_with(front: &Front, folder: &std::path::Path, gateway: Gateway) -> axum::Router {
    let core = front.core.clone();
    let app = app_with(front, folder, gateway);
    let engine = purser_provisioning::sagas(&app);
    purser_http::harden::harden(
        api::router(Api::new(Parts { app, engine, rails: front.rails.clone(), clients: front.clients.clone() })),
        core.env,
    )
}

impl World {
    /// Everything that is answered at one address.
    pub fn surface(&self) -> axum::Router {
        surface(&self.front, self.folder.path())
    }

    /// One call of the API; the path may have a query, which a proof leaves out.
    pub async fn api(&self, who: Option<(&Agent, &str)>, method: &str, path: &str, content: &str, body: String) -> (StatusCode, Value) {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        if !content.is_empty() {
            request = request.header("content-type", content);
        }
        if let Some((agent, token)) = who {
            let url = self.front.realm.url(path.split('?').next().unwrap());
            let proof = agent.proof(method, &url, Some(token));
            request = request.header("authorization", format!("DPoP {token}")).header("dpop", proof);
        }
        let answer = answer(&self.api, request.body(Body::from(body)).unwrap()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// A terminal that acts as the person.
    pub async fn terminal(&self, person: &mut Browser) -> (Agent, String) {
        let terminal = self.agent();
        let asked = terminal.ask(&[("kind", "person")]).await;
        let page = person.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
        person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
        let (status, tokens) = terminal.poll(&asked).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        (terminal, tokens["access_token"].as_str().unwrap().to_owned())
    }

    pub async fn caller(&self, agent: &Agent, tokens: &Value) -> Caller {
        self.call(agent, tokens["access_token"].as_str().unwrap()).await.unwrap().caller
    }

    /// A resource of the agent in the project `shop` that the provider has made, but that is not live yet.
    pub async fn resource(&self, agent: &Agent, tokens: &Value, provider: &str) -> String {
        let Caller::Agent { agent, grant, on_behalf_of, organisation, .. } = self.caller(agent, tokens).await else {
            panic!("an agent calls")
        };
        let (env, provider) = (self.env.clone(), provider.to_owned());
        let id = ResourceId::mint(&env);
        let made = id.clone();
        let make = move |tx: &mut purser_db::Tx<'_>| {
            let (shop, _) = project::ensure(tx, &env, &organisation, &"shop".parse().unwrap())?;
            let row = Resource {
                id: made.clone(),
                organisation: organisation.clone(),
                project: shop.id,
                project_name: shop.name,
                environment: "development".parse().unwrap(),
                provider: provider.parse().unwrap(),
                service: "kv".parse().unwrap(),
                name: "kv".parse().unwrap(),
                state: State::Creating,
                account: None,
                provider_resource: None,
                person: on_behalf_of.clone(),
                agent: agent.clone(),
                grant: grant.clone(),
                saga: SagaId::mint(&env),
                configuration: json!({}),
                endpoints: vec![],
                facts: json!({}),
                created_at: env.now(),
            };
            assert!(resource::insert(tx, &row)?);
            resource::created(tx, &made, &AccountId::mint(&env), "remote")
        };
        self.front.core.db.write::<_, DbError, _>(make).await.unwrap();
        id.to_string()
    }
}
