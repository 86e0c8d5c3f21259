#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an example stops where a service would answer")]
//! A whole provider in under a hundred lines: it sells greetings. Run it and point the conformance tester at it:
//! `TINY_SECRET=whsec_example cargo run -p purser-provider --example tiny`, then `purser conformance URL --secret-file FILE`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use purser_crypto::token;
use purser_provider::{AccountCall, AccountOpen, AccountOutcome, Answer, Call, Config, MemoryStore, Provider, ProviderError, router};
use purser_values::{Env, Secret};
use purser_wire::catalog::{Pricing, Service, ServiceKind};
use purser_wire::id::{AccountId, ResourceId};
use purser_wire::manifest::Manifest;
use purser_wire::resource::{AccessConfiguration, CreateResource, ResourceEnvelope, ResourceState};
use purser_wire::token::AccountRef;
use serde_json::json;

/// A greeting that somebody has: whose it is, and its key; without one it is removed.
type Greeting = (AccountId, Option<Secret<String>>);

pub struct Tiny {
    base_url: url::Url,
    accounts: Mutex<HashMap<String, AccountId>>,
    greetings: Mutex<HashMap<ResourceId, Greeting>>,
}

impl Tiny {
    pub fn new(base_url: url::Url) -> Self {
        Self { base_url, accounts: Mutex::default(), greetings: Mutex::default() }
    }

    /// Lets `change` work on the account's greeting; another account's is not found.
    fn with(&self, call: &AccountCall, id: &ResourceId, change: impl FnOnce(&mut Option<Secret<String>>)) -> Answer<ResourceEnvelope> {
        let mut greetings = self.greetings.lock().unwrap();
        let found = greetings.get_mut(id).filter(|(account, _)| *account == call.account);
        let (_, key) = found.ok_or_else(|| ProviderError::not_found("resource"))?;
        change(key);
        Ok(match key {
            Some(key) => ResourceEnvelope::complete(id.clone(), Some(AccessConfiguration::default().with("greeting_key", key.expose()))),
            None => ResourceEnvelope::new(id.clone(), ResourceState::Removed),
        })
    }
}

impl Provider for Tiny {
    fn manifest(&self) -> Manifest {
        let token_url = self.base_url.join("oauth/token").unwrap();
        serde_json::from_value(json!({"name": "tiny", "base_url": self.base_url, "token_url": token_url})).unwrap()
    }

    async fn services(&self) -> Answer<Vec<Service>> {
        let service = json!({"id": "greeting", "description": "a greeting in your language", "categories": ["messaging"],
            "pricing": Pricing::Free, "kind": ServiceKind::Deployable, "configuration_schema": {"type": "object",
            "properties": {"language": {"type": "string", "enum": ["en", "de", "fr"]}}}});
        Ok(vec![serde_json::from_value(service).unwrap()])
    }

    async fn account_open(&self, call: &Call, open: AccountOpen) -> Answer<AccountOutcome> {
        let mut accounts = self.accounts.lock().unwrap();
        let fresh = || format!("acct_{}", u64::from_be_bytes(call.env.bytes())).parse().unwrap();
        let id = accounts.entry(open.request.email.as_str().to_owned()).or_insert_with(fresh).clone();
        Ok(AccountOutcome::Account(AccountRef { id, payment_credentials: None }))
    }

    async fn resource_create(&self, call: &AccountCall, _: CreateResource) -> Answer<ResourceEnvelope> {
        let id: ResourceId = format!("greet_{}", u64::from_be_bytes(call.env.bytes())).parse().unwrap();
        self.greetings.lock().unwrap().insert(id.clone(), (call.account.clone(), Some(token::mint(&call.env, "greet").0)));
        self.with(call, &id, |_| ())
    }

    async fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.with(call, id, |_| ())
    }

    async fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.with(call, id, |key| *key = None)
    }

    async fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.with(call, id, |key| *key = key.take().map(|_| token::mint(&call.env, "greet").0))
    }
}

#[tokio::main]
async fn main() {
    let secret = std::env::var("TINY_SECRET").expect("set TINY_SECRET to the signing secret that the orchestrator gave you");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = url::Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let config = Config::in_memory(Env::system(), secret.into()).unwrap();
    eprintln!("ready {base_url}");
    axum::serve(listener, router(Arc::new(Tiny::new(base_url)), Arc::new(MemoryStore::default()), config)).await.unwrap();
}
