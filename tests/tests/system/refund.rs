//! Money comes back when what it paid for is undone: at slipway through `kill -9`, and from a provider that we did not write, which gives
//! back in its own time or not at all.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use purser_crypto::jose::{Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_provider::{
    AccountCall, AccountOpen, AccountOutcome, Answer, Call, Config, MemoryStore, OrchestratorClient, OrchestratorKeys, Provider,
    ProviderError, router,
};
use purser_tests::system::Half;
use purser_tests::{Agent, Ask, Choice, Person, World, processes, store};
use purser_values::{Currency, Env, Money, Sha256Digest};
use purser_wire::catalog::{Period, Price, Pricing, Service};
use purser_wire::charge::{ChargeRequest, ChargeStatus};
use purser_wire::id::{ChargeId, ResourceId};
use purser_wire::manifest::{Extension, Manifest};
use purser_wire::quote::{Quote, QuoteLine, QuoteRequest, QuoteTerms};
use purser_wire::refund::{RefundRequest, RefundStatus};
use purser_wire::resource::{CreateResource, ResourceEnvelope, ResourceState};
use serde_json::{Value, json};
use url::Url;

use crate::alone::{Alone, Mood, SECRET};
use crate::tiny::Tiny;

const TERMS: &[u8] = b"no refunds";
/// What gold costs, in cents.
const PRICE: i64 = 500;
/// Kills of each half while a purchase is made and undone. The supervisor waits longer after each, so there are few.
const KILLS: usize = 6;

/// What one agent spent, as it is told: captured, held.
fn position(spend: &Value) -> (i64, i64) {
    let position = |what: &str| spend["providers"][0][what]["amount_minor"].as_i64().unwrap_or_default();
    (position("captured"), position("held"))
}

/// A name that another registrar takes after it was paid: the money is back before the command has answered, and everybody sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_the_registry_refuses_after_it_was_paid_costs_nothing_and_is_told_everywhere() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("sniped"));
    agent.login(&mut ada, Ask::ALL, &Choice { card: None, cap: Some("10.00".to_owned()) }).await;
    agent.must(&["init", "sniped"]).await;
    for number in 1..=3 {
        // The cap has room for one: what did not come back would refuse the next.
        let config = format!(r#"{{"domain":"sniped-{number}.test"}}"#);
        assert_eq!(agent.refused(&["add", "slipway/registrar:domain", "--config", &config]).await, "domain_taken");
    }
    let spend = agent.must(&["spend"]).await;
    assert_eq!(position(&spend), (0, 0), "{spend}");
    assert_eq!((spend["refunds"].as_array().unwrap().len(), &spend["owed"]), (3, &json!([])), "{spend}");
    let refund = &spend["refunds"][0];
    assert_eq!(
        (&refund["state"], &refund["reason"], &refund["amount"]["amount_minor"]),
        (&json!("succeeded"), &json!("not_delivered"), &json!(915))
    );
    let page = ada.open("/spend").await.body;
    for shown in [refund["id"].as_str().unwrap(), "Given back", "not_delivered", "Paid: <strong class=\"worst\">USD 0.00"] {
        assert!(page.contains(shown), "`{shown}` is missing in {page}");
    }
    for of in [&refund["id"], &refund["charge"]] {
        let trace = agent.must(&["trace", of.as_str().unwrap()]).await;
        assert_eq!(trace["charges"][0]["refunds"][0]["id"], refund["id"], "{trace}");
        assert!(trace["events"].as_array().unwrap().iter().any(|event| event["verb"] == "refund_create"), "{trace}");
    }
    let csv = ada.open("/spend.csv").await.body;
    assert!(csv.contains(",USD,-9.15,-915,succeeded,,rfd_"), "{csv}");
    assert_eq!(store::ledger_faults(&world.system.dir).await, Vec::<String>::new());
}

/// `kill -9` of either half at many moments between the payment and the refund.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_purchase_is_undone_everything_comes_back_once() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("undone"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "undone"]).await;
    let dir = world.system.dir.clone();
    let ours = async |sql| store::number(&dir, "purser.db", sql).await;
    let theirs = async |sql| store::number(&dir, "slipway.db", sql).await;
    let mut kills = 0;
    for number in 0..2 * KILLS {
        let half = if number.is_multiple_of(2) { Half::Cloud } else { Half::Orchestrator };
        let config = format!(r#"{{"domain":"sniped-{number}.test"}}"#);
        let arguments = ["add", "slipway/registrar:domain", "--config", &config, "--name", &format!("name-{number}")];
        let command = agent.run(&arguments);
        let kill = async {
            tokio::time::sleep(Duration::from_millis(20 + 13 * number as u64)).await;
            world.system.kill(half)
        };
        let (_, killed) = tokio::join!(command, kill);
        kills += usize::from(killed);
        world.system.await_healthy().await;
    }
    assert!(kills >= KILLS, "only {kills} kills hit a running process");
    processes::until("the end of all work", Duration::from_secs(90), async || {
        let sagas = ours("select count(*) as n from saga where status in ('running', 'undoing')").await;
        let open = theirs("select count(*) as n from cloud_charge where state not in ('refunded', 'refused')").await;
        let orders = theirs("select count(*) as n from cloud_resource where state = 'pending'").await;
        let owed = ours("select count(*) as n from spend_refund_due where state <> 'settled'").await;
        (sagas + open + orders + owed == 0).then_some(())
    })
    .await;
    assert_eq!(ours("select count(*) as n from saga where status = 'stuck'").await, 0, "a saga is stuck");
    let paid = ours("select count(*) as n from spend_charge where state = 'succeeded'").await;
    assert!(paid >= 3, "only {paid} purchases were paid before they were undone");
    assert_eq!(ours("select count(*) as n from spend_refund where state = 'succeeded'").await, paid, "not every payment came back");
    assert_eq!(ours("select count(*) as n from rail_sandbox_refund where outcome = 'refunded'").await, paid);
    assert_eq!(
        ours("select cast(sum(amount) as integer) as n from rail_sandbox_refund").await,
        915 * paid,
        "the card got another sum back"
    );
    assert_eq!(store::ledger_faults(&dir).await, Vec::<String>::new());
    let spend = agent.must(&["spend"]).await;
    assert_eq!((position(&spend), &spend["owed"]), ((0, 0), &json!([])), "{spend}");
    agent.must(&["audit", "verify", "--data", dir.to_str().unwrap()]).await;
}

/// When a provider gives back what it took for an order that is undone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Giving {
    After(Duration),
    Never,
}

/// What the provider took.
type Taken = Arc<Mutex<Vec<ChargeId>>>;

/// Sells gold: takes the money and delivers nothing that can be used.
struct Taker {
    tiny: Tiny,
    base_url: Url,
    orchestrator: OrchestratorClient,
    key: SigningKey,
    giving: Giving,
    taken: Taken,
}

impl Provider for Taker {
    fn manifest(&self) -> Manifest {
        let mut manifest = self.tiny.manifest();
        let document = json!([{"id": "tos", "title": "Terms", "url": self.base_url.join("terms").unwrap(), "version": "1", "sha256": Sha256Digest::of(TERMS)}]);
        manifest.terms = serde_json::from_value(document).unwrap();
        manifest.keys = vec![serde_json::to_value(self.key.public()).unwrap()];
        manifest.extensions = vec![Extension::Quotes, Extension::IdentityAssertion, Extension::Price, Extension::Charges];
        if self.giving != Giving::Never {
            manifest.extensions.push(Extension::Refunds);
        }
        manifest
    }

    async fn services(&self) -> Answer<Vec<Service>> {
        let price = Price {
            amount: Money::from_minor(PRICE, Currency::USD),
            period: Period::Month,
            unit: None,
            refundable: false,
            irreversible: false,
            metered: Vec::new(),
        };
        let gold = json!({"id": "gold", "description": "gold", "categories": ["messaging"], "kind": "plan",
            "pricing": Pricing::paid("USD 5.00 a month"), "price": price});
        Ok(vec![serde_json::from_value(gold).unwrap()])
    }

    async fn account_open(&self, call: &Call, open: AccountOpen) -> Answer<AccountOutcome> {
        self.tiny.account_open(call, open).await
    }

    async fn quote_create(&self, call: &AccountCall, request: QuoteRequest) -> Answer<Quote> {
        let amount = Money::from_minor(PRICE, Currency::USD);
        let line =
            QuoteLine { id: "gold".parse().unwrap(), description: "one month".to_owned(), amount, period: Period::Month, credit_minor: 0 };
        let terms = QuoteTerms { irreversible: false, refundable: false, expires_at: call.at.plus_secs(600) };
        let id = format!("q_{}", u64::from_be_bytes(call.env.bytes())).parse().unwrap();
        Ok(Quote::new(id, &request, Currency::USD, vec![line], terms).unwrap())
    }

    async fn resource_create(&self, call: &AccountCall, request: CreateResource) -> Answer<ResourceEnvelope> {
        let charge = ChargeRequest {
            payment_token: request.payment_credentials.as_ref().and_then(|p| p.token()).unwrap().clone(),
            quote_id: request.quote_id.clone().unwrap(),
            quote_line_id: "gold".parse().unwrap(),
            amount: Money::from_minor(PRICE, Currency::USD),
            resource_id: None,
            period: None,
        };
        let key = request.quote_id.as_ref().unwrap().as_str().parse().unwrap();
        let answer = self.orchestrator.charge(&charge, &key).await.map_err(|e| ProviderError::payment_declined(e.to_string()))?;
        assert_eq!(answer.status, ChargeStatus::Succeeded, "{answer:?}");
        self.taken.lock().unwrap().push(answer.id);
        let made = self.tiny.resource_create(call, request).await?;
        // A state that a new resource cannot have: whoever ordered it must undo.
        Ok(ResourceEnvelope::new(made.id.unwrap(), ResourceState::Removed))
    }

    async fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.tiny.resource_get(call, id).await
    }

    async fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.tiny.resource_remove(call, id).await
    }

    async fn resource_cancel(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        if let Giving::After(wait) = self.giving {
            let (orchestrator, charge) = (self.orchestrator.clone(), self.taken.lock().unwrap().last().unwrap().clone());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                give_back(&orchestrator, &charge, PRICE, "in time").await
            });
        }
        self.resource_remove(call, id).await
    }

    async fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.tiny.resource_rotate(call, id).await
    }
}

async fn give_back(orchestrator: &OrchestratorClient, charge: &ChargeId, minor: i64, key: &str) -> Result<RefundStatus, String> {
    let request = RefundRequest { amount: Money::from_minor(minor, Currency::USD), reason: None };
    let key = format!("{key}-{charge}").replace(' ', "-").parse().unwrap();
    orchestrator.refund(charge, &request, &key).await.map(|answer| answer.status).map_err(|e| e.to_string())
}

/// Listens; also how it speaks to the orchestrator.
async fn taker(orchestrator: &Url, giving: Giving, taken: Taken) -> (SocketAddr, OrchestratorClient) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let base_url = Url::parse(&format!("http://{address}/")).unwrap();
    let mut config = Config::in_memory(Env::system(), SECRET.to_owned().into()).unwrap();
    let fetcher = Fetcher::new(vec![Origin::of(orchestrator).unwrap()]).unwrap();
    config.orchestrator = Some(OrchestratorKeys::fetched(fetcher.clone(), orchestrator).unwrap());
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let client = OrchestratorClient::new(fetcher, orchestrator.clone(), key.clone(), Env::system());
    let provider = Taker { tiny: Tiny::new(base_url.clone()), base_url, orchestrator: client.clone(), key, giving, taken };
    let routes =
        router(Arc::new(provider), Arc::new(MemoryStore::default()), config).route("/terms", axum::routing::get(|| async { TERMS }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, client)
}

/// An orchestrator beside a [`Taker`], a person and an agent that was granted everything.
struct Scene {
    alone: Alone,
    ada: Person,
    agent: Agent,
    orchestrator: OrchestratorClient,
    taken: Taken,
}

impl Scene {
    async fn start(giving: Giving) -> Option<Self> {
        let (taken, mut client) = (Taken::default(), None);
        let alone = Alone::with(false, Arc::new(Mutex::new(Mood::Good)), async |orchestrator| {
            let (address, speaks) = taker(orchestrator, giving, taken.clone()).await;
            client = Some(speaks);
            vec![("tiny", address)]
        })
        .await?;
        let (mut ada, agent) = (alone.person("ada"), alone.agent("payer"));
        processes::until("the catalogue", Duration::from_secs(20), async || {
            agent.run(&["catalog"]).await.stdout.contains("tiny/gold").then_some(())
        })
        .await;
        agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
        agent.must(&["init", "payer"]).await;
        Some(Self { alone, ada, agent, orchestrator: client.unwrap(), taken })
    }

    fn charge(&self) -> ChargeId {
        self.taken.lock().unwrap().last().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_order_waits_for_its_refund_and_ends_with_the_money_back() {
    let Some(scene) = Scene::start(Giving::After(Duration::from_millis(1_500))).await else { return };
    assert_eq!(scene.agent.refused(&["add", "tiny/gold"]).await, "provider_garbage");
    let spend = scene.agent.must(&["spend"]).await;
    assert_eq!((position(&spend), &spend["owed"]), ((0, 0), &json!([])), "{spend}");
    assert_eq!(spend["refunds"].as_array().unwrap().len(), 1, "{spend}");
    let again = give_back(&scene.orchestrator, &scene.charge(), 1, "more").await.unwrap_err();
    assert!(again.contains("refund_over_charge"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_keeps_the_money_is_named_to_its_person_until_it_gives_it_back() {
    let Some(mut scene) = Scene::start(Giving::Never).await else { return };
    let mails = scene.ada.mails().len();
    assert_eq!(scene.agent.refused(&["add", "tiny/gold"]).await, "provider_garbage");
    let charge = scene.charge();
    let spend = scene.agent.must(&["spend"]).await;
    assert_eq!(position(&spend), (PRICE, 0), "{spend}");
    let owed = &spend["owed"][0];
    assert_eq!(
        (&owed["charge"], &owed["state"], &owed["amount"]["amount_minor"]),
        (&json!(charge), &json!("disputed"), &json!(PRICE)),
        "{spend}"
    );
    let page = scene.ada.open("/spend").await.body;
    assert!(page.contains("Owed to you") && page.contains("disputed") && page.contains(charge.as_str()), "{page}");
    let mail = processes::until("the mail", Duration::from_secs(10), async || {
        scene.ada.mails().into_iter().skip(mails).find(|mail| mail.contains("has not given back"))
    })
    .await;
    assert!(mail.contains("tiny") && mail.contains("USD 5.00") && mail.contains(charge.as_str()), "{mail}");
    let trace = scene.agent.must(&["trace", charge.as_str()]).await;
    assert_eq!(trace["charges"][0]["owed"]["state"], "disputed", "{trace}");
    assert!(trace["events"].as_array().unwrap().iter().any(|event| event["verb"] == "refund_dispute"), "{trace}");

    // A crash forgets nothing, and late money settles it: first a part, then the rest.
    scene.alone.restart().await;
    for (part, left) in [(200, Some(300)), (300, None)] {
        let status = processes::until("the refund", Duration::from_secs(20), async || {
            give_back(&scene.orchestrator, &charge, part, &format!("part-{part}")).await.ok()
        });
        assert_eq!(status.await, RefundStatus::Succeeded);
        let spend = scene.agent.must(&["spend"]).await;
        assert_eq!(spend["owed"][0]["amount"]["amount_minor"].as_i64(), left, "{spend}");
    }
    assert_eq!(position(&scene.agent.must(&["spend"]).await), (0, 0));
    assert!(!scene.ada.open("/spend").await.body.contains("Owed to you"));
}
