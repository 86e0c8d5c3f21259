//! An account at slipway that is paid by an agent's money at the orchestrator, and a clock that both share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use purser_authority::action::{UsageHold, UsageRelease};
use purser_authority::{Caller, Facts, authorise};
use purser_crypto::seal::Keyring;
use purser_db::jobs::{Handler, Runner};
use purser_db::{Db, DbError, Migrations, params};
use purser_spend::charge::{ChargeAsk as Ask, ChargeState};
use purser_spend::hold::{self, Hold};
use purser_spend::quote::{Line, Recurs};
use purser_spend::refund::{RefundAsk as GiveBack, RefundState};
use purser_spend::renewal;
use purser_spend::usage::{self as spent, UsageAsk, UsageBlock, UsageReceipt};
use purser_values::id::{ChargeId, CloudAccountId, CloudLinkId, CloudResourceId};
use purser_values::{Currency, Env, Money, Secret, Timestamp};
use purser_wire::credit::Cover;
use slipway_accounts::charge::ChargeOutcome;
use slipway_accounts::realm::{CodeKey, Realm};
use slipway_accounts::refund::RefundOutcome;
use slipway_billing::charge::Paid;
use slipway_billing::credit::spend;
use slipway_billing::driver::Billing;
use slipway_billing::invoice::{Document, Kind as Sort, document_list};
use slipway_billing::price::{Meter, MeterPrice, Over, PriceList, Use};
use slipway_billing::subscription::cancel::When;
use slipway_billing::subscription::change::{SubscriptionError, subscription_change};
use slipway_billing::subscription::get::subscription_get;
use slipway_billing::subscription::start::{Begin, subscription_begin};
use slipway_billing::subscription::{Kind, Payment, Subscription, Terms};
use slipway_billing::till::{BlockAsk, BlockOutcome, ChargeAsk, Pending, RefundAsk, Till, Unanswered};
use slipway_billing::usage::record::{Count, usage_record};
use tokio::sync::Notify;

use crate::world::{World, usd};

pub const TABLES: &[Migrations] =
    &[purser_db::MIGRATIONS, purser_spend::MIGRATIONS, slipway_accounts::store::MIGRATIONS, slipway_billing::store::MIGRATIONS];

/// The plans of these tests: id, price, and what a million requests cost beyond one million.
pub const PAID: (&str, i64, i64) = ("paid", 5_00, 30);
pub const TEAM: (&str, i64, i64) = ("team", 20_00, 20);

#[derive(Clone)]
pub struct Shop {
    pub world: World,
    pub billing: Billing,
    pub account: CloudAccountId,
    pub till: Arc<LedgerTill>,
    runner: Runner,
}

/// The orchestrator's ledger as slipway's till. It can be told to lose answers.
pub struct LedgerTill {
    world: World,
    calls: AtomicI64,
    /// Answers that are lost, by the number of the call; the effect happens before or does not happen at all.
    pub lost: Mutex<HashMap<i64, Lost>>,
    /// Nobody is there at all.
    pub deaf: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Question,
    Answer,
}

impl LedgerTill {
    pub fn calls(&self) -> i64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn through<T>(&self, effect: impl Future<Output = T>) -> Result<T, Unanswered> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let lost = self.lost.lock().unwrap().get(&number).copied();
        if lost == Some(Lost::Question) || self.deaf.load(Ordering::SeqCst) {
            return Err(Unanswered("nobody is there".to_owned()));
        }
        let answer = effect.await;
        if lost == Some(Lost::Answer) { Err(Unanswered("the line broke".to_owned())) } else { Ok(answer) }
    }
}

fn plain(token: &[u8]) -> Secret<String> {
    Secret::new(String::from_utf8(token.to_vec()).unwrap())
}

impl Till for LedgerTill {
    fn charge<'a>(&'a self, ask: &'a ChargeAsk) -> Pending<'a, ChargeOutcome> {
        Box::pin(self.through(async {
            let receipt = self
                .world
                .charge(Ask {
                    key: ask.id.to_string(),
                    token: plain(&ask.from.token),
                    quote: ask.from.quote.clone(),
                    line: ask.from.line.clone(),
                    amount: ask.amount,
                    remote_resource: Some(ask.from.resource.to_string()),
                    period: Some(ask.period.clone()),
                })
                .await;
            ChargeOutcome {
                succeeded: receipt.state == ChargeState::Succeeded,
                charge: receipt.id.to_string(),
                code: receipt.code,
                message: receipt.message,
            }
        }))
    }

    fn reserve<'a>(&'a self, ask: &'a BlockAsk) -> Pending<'a, BlockOutcome> {
        Box::pin(self.through(async {
            let wanted = UsageAsk {
                token: plain(&ask.from.token),
                quote: ask.from.quote.clone(),
                line: ask.from.line.clone(),
                period: ask.period,
                block: ask.block,
                amount: ask.amount,
            };
            let (env, caller) = (self.world.env.clone(), Caller::Provider { provider: "slipway".parse().unwrap() });
            let write = self.world.db.write(move |tx| {
                let permit = authorise::<UsageHold>(&caller, &Facts::new(env.now(), "x")).unwrap();
                spent::hold(tx, &env, &permit, &wanted)
            });
            match write.await.unwrap().value {
                UsageReceipt::Reserved => BlockOutcome { reserved: true, code: None },
                UsageReceipt::Refused(refusal) => BlockOutcome { reserved: false, code: Some(refusal.code().to_owned()) },
            }
        }))
    }

    fn release<'a>(&'a self, ask: &'a BlockAsk) -> Pending<'a, ()> {
        Box::pin(self.through(async {
            let (token, quote, line) = (plain(&ask.from.token), ask.from.quote.clone(), ask.from.line.clone());
            let name = UsageBlock { token, quote, line, period: ask.period, block: ask.block };
            let (env, caller) = (self.world.env.clone(), Caller::Provider { provider: "slipway".parse().unwrap() });
            let write = self.world.db.write(move |tx| {
                let permit = authorise::<UsageRelease>(&caller, &Facts::new(env.now(), "x")).unwrap();
                spent::release(tx, &env, &permit, &name)
            });
            drop(write.await.unwrap());
        }))
    }

    fn refund<'a>(&'a self, ask: &'a RefundAsk) -> Pending<'a, RefundOutcome> {
        Box::pin(self.through(async {
            let back =
                GiveBack { key: ask.id.to_string(), charge: ask.charge.parse().unwrap(), amount: ask.amount, reason: ask.reason.clone() };
            match self.world.refund(back).await {
                Ok(receipt) => RefundOutcome {
                    succeeded: receipt.state == RefundState::Succeeded,
                    refund: receipt.id.to_string(),
                    code: receipt.code,
                    message: receipt.message,
                },
                Err(e) => RefundOutcome { succeeded: false, refund: String::new(), code: Some(e.to_string()), message: None },
            }
        }))
    }
}

pub fn prices(plan: (&str, i64, i64)) -> PriceList {
    let meter = |meter, included, per, amount_minor| MeterPrice { meter, included, over: Some(Over { per, amount_minor }) };
    PriceList {
        currency: Currency::USD,
        meters: vec![meter(Meter::Requests, 1_000_000, 1_000_000, plan.2), meter(Meter::CpuMs, 0, 1_000_000, 2)],
    }
}

fn terms(plan: (&str, i64, i64), payment: Payment) -> Terms {
    Terms { plan: plan.0.to_owned(), price: usd(plan.1), prices: prices(plan), payment }
}

impl Shop {
    pub async fn new(db: Db, start: &str, cap: i64) -> Self {
        let world = World::new(db.clone(), cap).await;
        world.clock.set(start.parse().unwrap());
        let keyring = Keyring::from_bytes(&Secret::new([7; 32])).unwrap();
        let key = CodeKey::new(Secret::new(vec![3; 32]));
        let realm = Realm { env: world.env.clone(), key, keyring, public_url: "https://cloud.test/".into() };
        let till =
            Arc::new(LedgerTill { world: world.clone(), calls: AtomicI64::new(0), lost: Mutex::default(), deaf: AtomicBool::new(false) });
        let billing = Billing { db: db.clone(), realm, till: till.clone() };
        let mut handlers = billing.handlers(Arc::new(|_| {}));
        let mailed: Handler = Arc::new(|_| Box::pin(async { Ok(()) }));
        handlers.insert(purser_notify::JOB_KIND, mailed);
        let runner = Runner::new(db.clone(), world.env.clone(), handlers, Arc::new(Notify::new()));
        let account = CloudAccountId::mint(&world.env);
        let (id, now) = (account.clone(), world.env.now());
        let insert = "insert into cloud_account (id, hex, issuer, subject, attested, email, organisation, state, created_at)
                      values ($1, '00000000000000000000000000000000', 'https://purser.test', 'pw', 1, 'ada@example.test', 'Ada', 'active', $2)";
        db.write::<_, DbError, _>(move |tx| tx.execute(insert, params![id, now])).await.unwrap();
        Self { world, billing, account, till, runner }
    }

    pub fn env(&self) -> Env {
        self.world.env.clone()
    }

    /// Money is set aside for a plan's order and its token handed over.
    pub async fn token(&self, key: &str, plan: (&str, i64, i64)) -> (Hold, Secret<String>) {
        let lines = vec![line("plan", plan.1, Recurs::Month), line("usage", 0, Recurs::Metered)];
        let hold = self.world.place(&self.world.purchase(key, lines)).await.unwrap();
        let token = self.world.issue(&hold).await;
        (hold, token)
    }

    /// Another account of somebody at an orchestrator, linked as its subject.
    pub async fn account_of(&self, subject: &str, email: &str) -> CloudAccountId {
        let (id, link, now) = (CloudAccountId::mint(&self.env()), CloudLinkId::mint(&self.env()), self.env().now());
        let (of, subject, email) = (id.clone(), subject.to_owned(), email.to_owned());
        let account = "insert into cloud_account (id, hex, issuer, subject, attested, email, organisation, state, created_at)
                       values ($1, $2, 'https://purser.test', $3, 1, $4, 'Ada', 'active', $5) on conflict do nothing";
        let linked = "insert into cloud_link (id, account, issuer, subject, attested, organisation, state, scopes, created_at)
                      values ($1, $2, 'https://purser.test', $3, 1, 'Ada', 'active', 'purchases', $4)";
        let write = self.world.db.write::<_, DbError, _>(move |tx| {
            // Sixteen bytes, as many as an id has of its own.
            let hex = format!("{:0>32}", of.as_str().bytes().rev().take(16).map(|b| format!("{b:02x}")).collect::<String>());
            // A subject has one account at a time; an earlier one was cut off.
            tx.execute("update cloud_link set state = 'cut' where subject = $1 and state = 'active'", params![subject])?;
            tx.execute(account, params![of, hex, format!("{subject}/{of}"), email, now])?;
            tx.execute(linked, params![link, of, subject, now])
        });
        write.await.unwrap();
        id
    }

    /// An order of a plan of whose first month a credit pays as much as it can, as the server makes it.
    pub async fn order_on_credit(&self, plan: (&str, i64, i64)) -> CloudResourceId {
        let (resource, id, at) = (CloudResourceId::mint(&self.env()), ChargeId::mint(&self.env()), self.env().now());
        let (env, account, subject) = (self.env(), self.account.clone(), id.to_string());
        let most = usd(plan.1);
        let held = self.world.db.write::<_, DbError, _>(move |tx| spend::hold(tx, &env, &account, &Cover::Plans, &subject, most));
        let by_credit = held.await.unwrap();
        let cash = plan.1 - by_credit.minor();
        let lines = vec![line("plan", cash, Recurs::Month), line("usage", 0, Recurs::Metered)];
        let mut purchase = self.world.purchase(resource.as_str(), lines);
        purchase.by_credit.insert("plan".to_owned(), most);
        let hold = self.world.place(&purchase).await.unwrap();
        let token = self.world.issue(&hold).await;
        let mut charge = String::new();
        if cash > 0 {
            let ask = Ask { period: Some(at.month().to_string()), ..World::ask(id.as_str(), &token, &hold, "plan", cash) };
            charge = self.world.charge(ask).await.id.to_string();
        }
        let paid = Some(Paid { id, charge, amount: most, by_credit });
        let (kind, terms) = (Kind::Plan, terms(plan, payment(&hold, &token)));
        let begin = Begin { resource: resource.clone(), account: self.account.clone(), kind, terms, at, renews: true, paid };
        let env = self.env();
        self.world.db.write(move |tx| subscription_begin(tx, &env, &begin)).await.unwrap();
        resource
    }

    /// An order of a plan, from the hold to the first invoice.
    pub async fn order(&self, plan: (&str, i64, i64)) -> CloudResourceId {
        let resource = CloudResourceId::mint(&self.env());
        let (hold, token) = self.token(resource.as_str(), plan).await;
        let payment = payment(&hold, &token);
        self.begin(resource, Kind::Plan, terms(plan, payment), true, (&hold, &token)).await
    }

    /// A domain for a year; renewed by itself only when chosen.
    pub async fn domain(&self, name: &str, renews: bool) -> CloudResourceId {
        let resource = CloudResourceId::mint(&self.env());
        let recurs = if renews { Recurs::Year } else { Recurs::Once };
        let purchase = self.world.purchase(resource.as_str(), vec![line("plan", 9_15, recurs)]);
        let hold = self.world.place(&purchase).await.unwrap();
        let token = self.world.issue(&hold).await;
        let own = Payment { usage_line: None, token: renews.then(|| token.expose().clone().into_bytes()), ..payment(&hold, &token) };
        let terms = Terms { plan: name.to_owned(), price: usd(9_15), prices: PriceList::free(Currency::USD), payment: own };
        self.begin(resource, Kind::Domain, terms, renews, (&hold, &token)).await
    }

    async fn begin(
        &self,
        resource: CloudResourceId,
        kind: Kind,
        terms: Terms,
        renews: bool,
        (hold, token): (&Hold, &Secret<String>),
    ) -> CloudResourceId {
        let id = ChargeId::mint(&self.env());
        let at = self.env().now();
        let period = Some(at.month().to_string());
        let ask = Ask { period, ..World::ask(id.as_str(), token, hold, "plan", terms.price.minor()) };
        let receipt = self.world.charge(ask).await;
        assert_eq!(receipt.state, ChargeState::Succeeded, "{:?}", receipt.code);
        let paid = Some(Paid { id, charge: receipt.id.to_string(), amount: terms.price, by_credit: usd(0) });
        let begin = Begin { resource: resource.clone(), account: self.account.clone(), kind, terms, at, renews, paid };
        let env = self.env();
        for _ in 0..2 {
            let (env, begin) = (env.clone(), begin.clone());
            self.world.db.write(move |tx| subscription_begin(tx, &env, &begin)).await.unwrap();
        }
        resource
    }

    /// A dearer plan, with a new order's token.
    pub async fn upgrade(&self, resource: &CloudResourceId, plan: (&str, i64, i64)) -> Result<(), SubscriptionError> {
        let key = format!("{}{}", self.env().now().as_micros(), plan.0);
        let lines = vec![line("plan", plan.1, Recurs::Month), line("usage", 0, Recurs::Metered)];
        let Ok(hold) = self.world.place(&self.world.purchase(&key, lines)).await else { return Err(SubscriptionError::NoPayment) };
        let token = self.world.issue(&hold).await;
        self.change(resource, terms(plan, payment(&hold, &token)), When::Now).await
    }

    pub async fn downgrade(&self, resource: &CloudResourceId, plan: (&str, i64, i64), when: When) -> Result<(), SubscriptionError> {
        self.change(resource, terms(plan, Payment::default()), when).await
    }

    async fn change(&self, resource: &CloudResourceId, to: Terms, when: When) -> Result<(), SubscriptionError> {
        let (realm, account, resource) = (self.billing.realm.clone(), self.account.clone(), resource.clone());
        self.world.db.write(move |tx| subscription_change(tx, &realm, &account, &resource, to.clone(), when)).await
    }

    pub async fn count(&self, batch: &str, meter: Meter, quantity: u64) -> bool {
        let (env, batch) = (self.env(), batch.to_owned());
        let counts = vec![Count { account: self.account.clone(), script: "hello".to_owned(), meter, quantity }];
        self.world.db.write(move |tx| usage_record(tx, &env, &batch, &counts)).await.unwrap()
    }

    /// What a node does: room first, then the use.
    pub async fn serve(&self, batch: &str, requests: u64) -> u64 {
        let ahead = Use::from([(Meter::Requests, requests)]);
        let room = loop {
            match self.billing.make_room(&self.account, &ahead).await {
                Ok(room) => break room,
                Err(e) => assert!(e.to_string().contains("no answer"), "{e}"),
            }
        };
        let served = room.map_or(0, |room| room.left(Meter::Requests).min(requests));
        self.count(batch, Meter::Requests, served).await;
        served
    }

    /// Lets time pass until then, and everything happen that is due on the way.
    pub async fn until(&self, then: &str) {
        self.until_at(then.parse().unwrap()).await;
    }

    pub async fn until_at(&self, then: Timestamp) {
        loop {
            self.settle_down().await;
            let now = self.env().now();
            if now >= then {
                return;
            }
            let far = now.plus_secs(3 * 86_400) < then;
            self.world.clock.set(now.plus_secs(if far { 86_400 } else { 6 * 3600 }).min(then));
        }
    }

    /// Runs everything that is due now, on both sides.
    pub async fn settle_down(&self) {
        let env = self.env();
        drop(self.world.db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap());
        let env = self.env();
        drop(self.world.db.write(move |tx| hold::expire(tx, &env)).await.unwrap());
        while self.runner.run_due().await.unwrap() > 0 {}
    }

    pub async fn get(&self, resource: &CloudResourceId) -> Subscription {
        let resource = resource.clone();
        self.world.db.read(move |tx| subscription_get(tx, &resource)).await.unwrap().unwrap()
    }

    pub async fn documents(&self) -> Vec<Document> {
        let account = self.account.clone();
        let mut all = self.world.db.read(move |tx| document_list(tx, &account)).await.unwrap();
        all.reverse();
        all
    }

    /// The totals of all documents of a sort, as they were issued.
    pub async fn totals(&self, sort: Sort) -> Vec<i64> {
        self.documents().await.iter().filter(|document| document.kind == sort).map(|document| document.total_minor).collect()
    }

    pub async fn mails(&self) -> i64 {
        let count = "select count(*) as n from job where kind = $1";
        self.world.db.read::<_, DbError, _>(move |tx| tx.query_one(count, params![purser_notify::JOB_KIND])?.get("n")).await.unwrap()
    }

    /// What the orchestrator took at slipway, and what came back.
    pub async fn ledger(&self) -> (i64, i64) {
        let sum = "select
            (select cast(coalesce(sum(amount), 0) as bigint) from spend_charge where state = 'succeeded' and provider = 'slipway') as took,
            (select cast(coalesce(sum(amount), 0) as bigint) from spend_refund where state = 'succeeded' and provider = 'slipway') as back";
        let read = self.world.db.read::<_, DbError, _>(move |tx| {
            let row = tx.query_one(sum, params![])?;
            Ok((row.get("took")?, row.get("back")?))
        });
        read.await.unwrap()
    }

    /// What is set aside for use, over all months: in money, and in blocks.
    pub async fn held(&self) -> (i64, i64) {
        let open = "select cast(coalesce(sum(amount), 0) as bigint) as held, count(*) as n from spend_hold_line
                    where recurs = 'metered' and period <> '' and state in ('open', 'charging')";
        let read = self.world.db.read::<_, DbError, _>(move |tx| {
            let row = tx.query_one(open, params![])?;
            Ok((row.get("held")?, row.get("n")?))
        });
        read.await.unwrap()
    }

    /// Every invoice is what was captured for it, every credit note what came back; numbers have no gap; the ledger is sound.
    pub async fn reconcile(&self) {
        let documents = self.documents().await;
        let (mut took, mut back) = (0, 0);
        for sort in [Sort::Invoice, Sort::CreditNote] {
            let of: Vec<&Document> = documents.iter().filter(|document| document.kind == sort).collect();
            for (i, document) in of.iter().enumerate() {
                assert!(document.number.ends_with(&format!("-{:06}", i + 1)), "a number is missing before {}", document.number);
                let lines: i64 = document.lines.iter().map(|line| line.amount_minor).sum();
                assert_eq!(lines + document.tax_minor, document.total_minor, "{}", document.number);
                assert!(document.total_minor >= 0);
            }
            let sum: i64 = of.iter().map(|document| document.total_minor).sum();
            if sort == Sort::Invoice { took = sum } else { back = sum }
        }
        assert_eq!((took, back), self.ledger().await, "{documents:#?}");
        let off = self.world.db.read(slipway_billing::credit::book::differences).await.unwrap();
        assert!(off.is_empty(), "{off:?}");
        self.world.is_sound().await;
    }
}

fn payment(hold: &Hold, token: &Secret<String>) -> Payment {
    Payment {
        quote: hold.quote_id.clone(),
        line: "plan".to_owned(),
        usage_line: Some("usage".to_owned()),
        token: Some(token.expose().clone().into_bytes()),
    }
}

fn line(id: &str, minor: i64, recurs: Recurs) -> Line {
    Line { description: format!("line {id}"), amount: Money::from_minor(minor, Currency::USD), ..World::line(id, minor, recurs) }
}
