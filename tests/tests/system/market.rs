//! A provider in our own hands, on the real SDK and over real HTTP: it sells something, keeps the payment tokens that it is given, and
//! answers late, loses its answers or quotes something else when it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_provider::{
    AccountCall, AccountOpen, AccountOutcome, Answer, Call, Config, MemoryStore, OrchestratorClient, OrchestratorError, OrchestratorKeys,
    Provider, ProviderError, router,
};
use purser_values::{Currency, Env, Money, Secret, Sha256Digest};
use purser_wire::catalog::{Period, Price, Pricing, Service};
use purser_wire::charge::{ChargeRequest, ChargeResponse};
use purser_wire::control::{AccountControl, AgentControl};
use purser_wire::id::{ChargeId, QuoteId, QuoteLineId, ResourceId};
use purser_wire::limits::APPROVED_LINE;
use purser_wire::manifest::{Extension, Manifest};
use purser_wire::quote::{Quote, QuoteLine, QuoteRequest, QuoteTerms};
use purser_wire::refund::{RefundRequest, RefundResponse};
use purser_wire::resource::{CreateResource, PaymentCredentials, ResourceEnvelope, UpdateResource};
use serde_json::json;
use tokio::sync::watch;
use url::Url;

use crate::alone::SECRET;
use crate::tiny::Tiny;

const TERMS: &[u8] = b"caveat emptor";
/// What `gold` is listed at, in cents a month.
pub const GOLD: i64 = 500;

/// What `platinum` is listed at, in cents a month.
pub const PLATINUM: i64 = 900;
/// What a market says of the price of `fog`, in prose.
pub const FOG: &str = "from about $5, <b>ask us</b>";
/// A market of this name quotes nothing.
pub const VAGUE: &str = "vague";
/// A market of this name takes the money at the processor itself.
pub const STAND: &str = "stand";
/// What the processor knows it by.
pub const PROFILE: &str = "profile_test_stand";

/// What was sold: who may be charged for it, and how.
#[derive(Clone)]
pub struct Sold {
    pub agent: String,
    pub token: Secret<String>,
    pub quote: Quote,
}

/// What the next quotes say.
#[derive(Clone)]
pub struct Quoted {
    pub minor: i64,
    pub period: Period,
    pub irreversible: bool,
}

impl Default for Quoted {
    fn default() -> Self {
        Self { minor: GOLD, period: Period::Month, irreversible: false }
    }
}

/// What happens to a request whose path ends in this.
#[derive(Clone, Default)]
pub struct Trouble {
    /// It waits for [`Market::calm`] before it takes effect, and takes effect whether or not somebody still waits for the answer.
    pub late: Option<&'static str>,
    /// It takes effect, and the answer is lost.
    pub lost: Option<&'static str>,
    /// It is not taken at all.
    pub down: Option<&'static str>,
}

pub struct Market {
    pub name: &'static str,
    pub address: SocketAddr,
    pub key: SigningKey,
    tiny: Tiny,
    base_url: Url,
    orchestrator: OrchestratorClient,
    /// Public keys that the manifest shows besides our own.
    pub foreign_keys: Mutex<Vec<SigningKey>>,
    pub quoted: Mutex<Quoted>,
    quotes: Mutex<HashMap<QuoteId, Quote>>,
    pub sold: Mutex<Vec<Sold>>,
    /// What took effect, in its order: `create`, `remove`, `rotate`, `disable`, `enable`.
    pub done: Mutex<Vec<&'static str>>,
    pub trouble: Mutex<Trouble>,
    calm: watch::Sender<u64>,
    /// Requests that wait now, and those that were not taken.
    pub waiting: Mutex<usize>,
    pub turned_away: Mutex<usize>,
}

impl Market {
    /// Listens. `access_life_s` is the life of the access tokens it gives to the orchestrator.
    pub async fn start(name: &'static str, orchestrator: &Url, access_life_s: i64) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let base_url = Url::parse(&format!("http://{address}/")).unwrap();
        let mut config = Config::in_memory(Env::system(), SECRET.to_owned().into()).unwrap();
        let fetcher = Fetcher::new(vec![Origin::of(orchestrator).unwrap()]).unwrap();
        config.orchestrator = Some(OrchestratorKeys::fetched(fetcher.clone(), orchestrator).unwrap());
        config.access_life_s = access_life_s;
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let market = Arc::new(Self {
            name,
            address,
            tiny: Tiny::new(base_url.clone()),
            base_url,
            orchestrator: OrchestratorClient::new(fetcher, orchestrator.clone(), key.clone(), Env::system()),
            key,
            foreign_keys: Mutex::default(),
            quoted: Mutex::default(),
            quotes: Mutex::default(),
            sold: Mutex::default(),
            done: Mutex::default(),
            trouble: Mutex::default(),
            calm: watch::Sender::new(0),
            waiting: Mutex::default(),
            turned_away: Mutex::default(),
        });
        let (provider, steered) = (Stall(market.clone()), market.clone());
        let routes = router(Arc::new(provider), Arc::new(MemoryStore::default()), config);
        let routes = routes.route("/terms", axum::routing::get(|| async { TERMS }));
        let routes = routes.layer(from_fn(move |request, next| steer(steered.clone(), request, next)));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        market
    }

    pub fn trouble(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    /// Ends all trouble; what waits goes on.
    pub fn calm(&self) {
        self.trouble(Trouble::default());
        self.calm.send_modify(|count| *count += 1);
    }

    /// How often something took effect.
    pub fn count(&self, what: &str) -> usize {
        self.done.lock().unwrap().iter().filter(|done| **done == what).count()
    }

    pub fn sold_to(&self, agent: &str) -> Sold {
        let sold = self.sold.lock().unwrap();
        sold.iter().find(|sold| sold.agent == agent).unwrap_or_else(|| panic!("nothing was sold to {agent}")).clone()
    }

    /// Charges what was sold, signed with our key.
    pub async fn charge(&self, sold: &Sold, key: &str) -> ChargeResponse {
        self.charge_of(sold, sold.quote.lines[0].amount, key).await.unwrap()
    }

    /// Charges any amount of what was sold.
    pub async fn charge_of(&self, sold: &Sold, amount: Money, key: &str) -> Result<ChargeResponse, OrchestratorError> {
        let request = ChargeRequest {
            payment_token: sold.token.clone(),
            quote_id: sold.quote.id.clone(),
            quote_line_id: sold.quote.lines[0].id.clone(),
            amount,
            resource_id: None,
            period: None,
        };
        self.orchestrator.charge(&request, &key.parse().unwrap()).await
    }

    /// Gives a part of a charge back.
    #[allow(dead_code, reason = "the money suite uses it")]
    pub async fn refund(&self, charge: &ChargeId, minor: i64, key: &str) -> RefundResponse {
        let request = RefundRequest { amount: Money::from_minor(minor, Currency::USD), reason: None };
        self.orchestrator.refund(charge, &request, &key.parse().unwrap()).await.unwrap()
    }

    fn note(&self, what: &'static str) {
        self.done.lock().unwrap().push(what);
    }
}

async fn steer(market: Arc<Market>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let trouble = market.trouble.lock().unwrap().clone();
    let hit = |suffix: Option<&str>| suffix.is_some_and(|suffix| path.ends_with(suffix));
    if hit(trouble.down) {
        *market.turned_away.lock().unwrap() += 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (late, mut calm) = (hit(trouble.late), market.calm.subscribe());
    let answered = tokio::spawn(async move {
        if late {
            *market.waiting.lock().unwrap() += 1;
            let _ = calm.changed().await;
            *market.waiting.lock().unwrap() -= 1;
        }
        next.run(request).await
    });
    let answer = answered.await.unwrap();
    if hit(trouble.lost) { StatusCode::BAD_GATEWAY.into_response() } else { answer }
}

/// The market as the SDK sees it.
struct Stall(Arc<Market>);

impl Stall {
    fn sell(&self, agent: String, payment: Option<&PaymentCredentials>, quote: Option<&QuoteId>) -> Answer<()> {
        let token = payment.and_then(|p| p.token()).ok_or_else(ProviderError::requires_payment)?;
        let found = match quote {
            Some(id) if self.0.name == VAGUE => Some(unquoted(id)),
            id => id.and_then(|id| self.0.quotes.lock().unwrap().get(id).cloned()),
        };
        let quote = found.ok_or_else(|| ProviderError::invalid_request("`quote_id` is missing"))?;
        self.0.sold.lock().unwrap().push(Sold { agent, token: token.clone(), quote });
        Ok(())
    }
}

impl Provider for Stall {
    fn manifest(&self) -> Manifest {
        let mut manifest = self.0.tiny.manifest();
        manifest.name = self.0.name.parse().unwrap();
        let foreign = self.0.foreign_keys.lock().unwrap();
        manifest.keys = foreign.iter().chain([&self.0.key]).map(|key| serde_json::to_value(key.public()).unwrap()).collect();
        manifest.extensions = if self.0.name == VAGUE { Vec::new() } else { vec![Extension::Quotes] };
        manifest.extensions.extend([Extension::IdentityAssertion, Extension::Price, Extension::AgentCredentials, Extension::AccountFreeze]);
        if self.0.name == STAND {
            manifest.stripe_profile = Some(PROFILE.to_owned());
        } else {
            manifest.extensions.push(Extension::Charges);
        }
        manifest.terms = serde_json::from_value(json!([{"id": "tos", "title": "Terms", "url": self.0.base_url.join("terms").unwrap(),
            "version": "1", "sha256": Sha256Digest::of(TERMS)}]))
        .unwrap();
        manifest
    }

    async fn services(&self) -> Answer<Vec<Service>> {
        let mut services = self.0.tiny.services().await?;
        let price = |minor| Price {
            amount: Money::from_minor(minor, Currency::USD),
            period: Period::Month,
            unit: None,
            refundable: false,
            irreversible: false,
            metered: Vec::new(),
        };
        let gold = json!({"id": "gold", "description": "golden greetings", "categories": ["messaging"], "kind": "deployable",
            "pricing": Pricing::paid("USD 5.00 a month"), "price": price(GOLD)});
        let platinum = json!({"id": "platinum", "description": "more than gold", "categories": ["messaging"], "kind": "deployable",
            "pricing": Pricing::paid("USD 9.00 a month"), "price": price(PLATINUM)});
        let fog = json!({"id": "fog", "description": "who knows", "categories": ["messaging"], "kind": "deployable",
            "pricing": Pricing::paid(FOG)});
        services.extend([gold, platinum, fog].map(|service| serde_json::from_value(service).unwrap()));
        Ok(services)
    }

    async fn account_open(&self, call: &Call, open: AccountOpen) -> Answer<AccountOutcome> {
        self.0.tiny.account_open(call, open).await
    }

    async fn quote_create(&self, call: &AccountCall, request: QuoteRequest) -> Answer<Quote> {
        let Quoted { minor, period, irreversible } = self.0.quoted.lock().unwrap().clone();
        let line = QuoteLine {
            id: "line-1".parse::<QuoteLineId>().unwrap(),
            description: "golden greetings".to_owned(),
            amount: Money::from_minor(minor, Currency::USD),
            period,
            credit_minor: 0,
        };
        let terms = QuoteTerms { irreversible, refundable: false, expires_at: call.at.plus_secs(600) };
        let id: QuoteId = format!("q_{}", u64::from_be_bytes(call.env.bytes())).parse().unwrap();
        let quote = Quote::new(id.clone(), &request, Currency::USD, vec![line], terms).unwrap();
        self.0.quotes.lock().unwrap().insert(id, quote.clone());
        Ok(quote)
    }

    /// Gold is handed over at once and charged when the market pleases.
    async fn resource_create(&self, call: &AccountCall, request: CreateResource) -> Answer<ResourceEnvelope> {
        if ["gold", "platinum", "fog"].contains(&request.service_id.as_str()) {
            let agent = request.agent.as_ref().map(|agent| agent.id.to_string()).unwrap_or_default();
            self.sell(agent, request.payment_credentials.as_ref(), request.quote_id.as_ref())?;
        }
        self.0.note("create");
        self.0.tiny.resource_create(call, request).await
    }

    async fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.0.tiny.resource_get(call, id).await
    }

    /// Platinum is sold like gold; what costs less needs nothing.
    async fn resource_update(&self, call: &AccountCall, id: &ResourceId, request: UpdateResource) -> Answer<ResourceEnvelope> {
        if request.service_id.as_ref().is_some_and(|service| service.as_str() == "platinum") {
            self.sell("changed".to_owned(), request.payment_credentials.as_ref(), request.quote_id.as_ref())?;
        }
        self.0.note("update");
        self.0.tiny.resource_get(call, id).await
    }

    async fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.0.note("remove");
        self.0.tiny.resource_remove(call, id).await
    }

    async fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.0.note("rotate");
        self.0.tiny.resource_rotate(call, id).await
    }

    async fn credentials_disable(&self, _: &AccountCall, _: AgentControl) -> Answer<u64> {
        self.0.note("disable");
        Ok(1)
    }

    async fn credentials_enable(&self, _: &AccountCall, _: AgentControl) -> Answer<u64> {
        self.0.note("enable");
        Ok(1)
    }

    async fn account_freeze(&self, _: &AccountCall, _: AccountControl) -> Answer<()> {
        Ok(())
    }

    async fn account_thaw(&self, _: &AccountCall) -> Answer<()> {
        Ok(())
    }
}

/// What a provider that quotes nothing knows of its price: the id that came with the order, and the one line that there is.
fn unquoted(id: &QuoteId) -> Quote {
    let request = QuoteRequest {
        service_id: "fog".parse().unwrap(),
        configuration: Default::default(),
        project_id: None,
        resource_id: None,
        parties: None,
    };
    let line = QuoteLine {
        id: APPROVED_LINE.parse().unwrap(),
        description: String::new(),
        amount: Money::from_minor(0, Currency::USD),
        period: Period::Once,
        credit_minor: 0,
    };
    let terms = QuoteTerms { irreversible: true, refundable: false, expires_at: purser_values::Timestamp::from_secs(0) };
    Quote::new(id.clone(), &request, Currency::USD, vec![line], terms).unwrap()
}
