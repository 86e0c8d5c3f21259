//! A provider that also sells something for money: the tiny one, with a paid plan, quotes, charges, and credentials per agent.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use purser_conformance::{Options, Payment, StubOrchestrator};
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_provider::{
    AccountCall, AccountOpen, AccountOutcome, Answer, Call, Config, MemoryStore, OrchestratorClient, OrchestratorKeys, Provider,
    ProviderError, Store, router,
};
use purser_values::{Currency, Env, Money, Sha256Digest};
use purser_wire::catalog::{Period, Price, Pricing, Service};
use purser_wire::charge::{ChargeRequest, ChargeStatus};
use purser_wire::control::{AccountControl, AgentControl};
use purser_wire::id::{QuoteId, QuoteLineId, ResourceId};
use purser_wire::manifest::{Extension, Manifest};
use purser_wire::quote::{Quote, QuoteLine, QuoteRequest, QuoteTerms};
use purser_wire::resource::{CreateResource, ResourceEnvelope};
use serde_json::json;
use url::Url;

use crate::tiny::Tiny;

pub const SECRET: &str = "whsec_conformance-secret-of-the-tests";
pub const TERMS: &[u8] = b"be kind";
const GOLD: &str = "gold";

pub struct Shop {
    tiny: Tiny,
    orchestrator: OrchestratorClient,
    key: SigningKey,
    quotes: Mutex<HashMap<QuoteId, Quote>>,
    disabled: Mutex<HashSet<String>>,
    frozen: Mutex<HashSet<String>>,
    bugs: Bugs,
}

/// What is wrong with a shop on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    pub free_gold: bool,
    pub ignores_declines: bool,
    pub charges_twice: bool,
    pub account_per_request: bool,
    pub keeps_credentials: bool,
    pub removes_nothing: bool,
    pub shows_everything: bool,
}

impl Shop {
    async fn buy(&self, call: &AccountCall, request: &CreateResource) -> Answer<()> {
        if self.bugs.free_gold {
            return Ok(());
        }
        let token = request.payment_credentials.as_ref().and_then(|p| p.token()).ok_or_else(ProviderError::requires_payment)?;
        let found = request.quote_id.as_ref().and_then(|id| self.quotes.lock().unwrap().get(id).cloned());
        let quote = found.ok_or_else(|| ProviderError::invalid_request("`quote_id` is missing"))?;
        for attempt in 0..if self.bugs.charges_twice { 2 } else { 1 } {
            let charge = ChargeRequest {
                payment_token: token.clone(),
                quote_id: quote.id.clone(),
                quote_line_id: quote.lines[0].id.clone(),
                amount: quote.lines[0].amount,
                resource_id: None,
                period: None,
            };
            let key = format!("{}-{}-{attempt}", call.account, quote.id).parse().unwrap();
            let answer = self.orchestrator.charge(&charge, &key).await.map_err(|e| ProviderError::payment_declined(e.to_string()))?;
            if answer.status != ChargeStatus::Succeeded && !self.bugs.ignores_declines {
                return Err(ProviderError::payment_declined(answer.code.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn seen_by<'a>(&self, call: &'a AccountCall) -> std::borrow::Cow<'a, AccountCall> {
        if self.bugs.shows_everything {
            let mut everybody = call.clone();
            everybody.account = "acct_everybody".parse().unwrap();
            return std::borrow::Cow::Owned(everybody);
        }
        std::borrow::Cow::Borrowed(call)
    }
}

impl Provider for Shop {
    fn manifest(&self) -> Manifest {
        let mut manifest = self.tiny.manifest();
        manifest.keys = vec![serde_json::to_value(self.key.public()).unwrap()];
        manifest.extensions = vec![
            Extension::Quotes,
            Extension::IdentityAssertion,
            Extension::Price,
            Extension::Charges,
            Extension::AgentCredentials,
            Extension::AccountFreeze,
            Extension::ControlOrder,
        ];
        manifest.terms = serde_json::from_value(json!([{"id": "tos", "title": "Terms", "url": manifest.base_url.join("terms").unwrap(),
            "version": "1", "sha256": Sha256Digest::of(TERMS)}]))
        .unwrap();
        manifest
    }

    async fn services(&self) -> Answer<Vec<Service>> {
        let mut services = self.tiny.services().await?;
        let price = Price {
            amount: Money::from_minor(500, Currency::USD),
            period: Period::Month,
            unit: None,
            refundable: false,
            irreversible: false,
            metered: Vec::new(),
        };
        let gold = json!({"id": GOLD, "description": "golden greetings", "categories": ["messaging"], "kind": "plan",
            "pricing": Pricing::paid("USD 5.00 a month"), "price": price});
        services.push(serde_json::from_value(gold).unwrap());
        Ok(services)
    }

    async fn account_open(&self, call: &Call, mut open: AccountOpen) -> Answer<AccountOutcome> {
        if self.bugs.account_per_request {
            open.request.email = format!("{}@bug.test", hex(call)).parse().unwrap();
        }
        self.tiny.account_open(call, open).await
    }

    async fn quote_create(&self, call: &AccountCall, request: QuoteRequest) -> Answer<Quote> {
        let line = QuoteLine {
            id: "line-1".parse::<QuoteLineId>().unwrap(),
            description: "one month".to_owned(),
            amount: Money::from_minor(500, Currency::USD),
            period: Period::Month,
            credit_minor: 0,
        };
        let terms = QuoteTerms { irreversible: false, refundable: false, expires_at: call.at.plus_secs(600) };
        let id: QuoteId = format!("q_{}", hex(call)).parse().unwrap();
        let quote = Quote::new(id.clone(), &request, Currency::USD, vec![line], terms).unwrap();
        self.quotes.lock().unwrap().insert(id, quote.clone());
        Ok(quote)
    }

    async fn resource_create(&self, call: &AccountCall, request: CreateResource) -> Answer<ResourceEnvelope> {
        if self.frozen.lock().unwrap().contains(call.account.as_str()) {
            return Err(ProviderError::forbidden("account_frozen", "the account is frozen"));
        }
        if request.service_id.as_str() == GOLD {
            self.buy(call, &request).await?;
        }
        self.tiny.resource_create(&self.seen_by(call), request).await
    }

    async fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.tiny.resource_get(&self.seen_by(call), id).await
    }

    async fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        if self.bugs.removes_nothing {
            return Ok(ResourceEnvelope::new(id.clone(), purser_wire::resource::ResourceState::Removed));
        }
        self.tiny.resource_remove(&self.seen_by(call), id).await
    }

    async fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        if self.bugs.keeps_credentials {
            return self.resource_get(call, id).await;
        }
        self.tiny.resource_rotate(&self.seen_by(call), id).await
    }

    async fn credentials_disable(&self, _: &AccountCall, control: AgentControl) -> Answer<u64> {
        Ok(u64::from(self.disabled.lock().unwrap().insert(control.agent.id.to_string())))
    }

    async fn credentials_enable(&self, _: &AccountCall, control: AgentControl) -> Answer<u64> {
        Ok(u64::from(self.disabled.lock().unwrap().remove(control.agent.id.as_str())))
    }

    async fn account_freeze(&self, call: &AccountCall, _: AccountControl) -> Answer<()> {
        self.frozen.lock().unwrap().insert(call.account.to_string());
        Ok(())
    }

    async fn account_thaw(&self, call: &AccountCall) -> Answer<()> {
        self.frozen.lock().unwrap().remove(call.account.as_str());
        Ok(())
    }
}

fn hex(call: &Call) -> String {
    u64::from_be_bytes(call.env.bytes()).to_string()
}

/// A shop that listens, and the orchestrator that it knows.
pub struct Running {
    pub base_url: Url,
    pub stub: Arc<StubOrchestrator>,
    pub fetcher: Fetcher,
}

impl Running {
    pub async fn start(bugs: Bugs) -> Self {
        Self::with(bugs, MemoryStore::default(), |_| (), |router| router).await
    }

    /// Starts a shop over any store, with its configuration and its router changed.
    pub async fn with<S: Store>(
        bugs: Bugs,
        store: S,
        configure: impl FnOnce(&mut Config),
        wrap: impl FnOnce(axum::Router) -> axum::Router,
    ) -> Self {
        let env = Env::system();
        let stub = Arc::new(StubOrchestrator::start(env.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let fetcher = Fetcher::new([stub.url(), &base_url].into_iter().filter_map(Origin::of).collect()).unwrap();
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        stub.trust(vec![key.public().clone()]);
        let shop = Shop {
            tiny: Tiny::new(base_url.clone()),
            orchestrator: OrchestratorClient::new(fetcher.clone(), stub.url().clone(), key.clone(), env.clone()),
            key,
            quotes: Mutex::default(),
            disabled: Mutex::default(),
            frozen: Mutex::default(),
            bugs,
        };
        let mut config = Config::in_memory(env, SECRET.to_owned().into()).unwrap();
        config.orchestrator = Some(OrchestratorKeys::fetched(fetcher.clone(), stub.url()).unwrap());
        configure(&mut config);
        let router = wrap(router(Arc::new(shop), Arc::new(store), config)).route("/terms", axum::routing::get(|| async { TERMS }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base_url, stub, fetcher }
    }

    /// The options of a conformance run against it.
    pub fn options(&self) -> Options {
        let mut options = Options::new(Env::system(), self.base_url.clone(), SECRET.to_owned().into());
        options.payment = Some(self.stub.clone());
        options
    }
}
