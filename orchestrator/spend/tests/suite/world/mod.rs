//! A person, an agent, a card and a cap, and short words for what they do.
#![allow(dead_code, reason = "each suite uses its own part")]

use std::sync::Arc;

use purser_authority::action::{CapSet, ChargeCreate, GrantDecide, PaymentMethodSet, RefundCreate, ResourceAdd, SpendRead};
use purser_authority::{Action, Caller, Done, Facts, GrantScope, Permit, Reach, Role, authorise};
use purser_db::testing::START;
use purser_db::{Db, DbError, Migrations};
use purser_spend::charge::{self, ChargeAsk, ChargeError, ChargeStep, Receipt};
use purser_spend::hold::{self, Hold, HoldError, Purchase};
use purser_spend::method::{self, PaymentMethod};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::rail::sandbox::{SandboxCard, SandboxRail, set_up};
use purser_spend::rail::{Rail, RailOutcome};
use purser_spend::refund::{self, RefundAsk, RefundError, RefundReceipt, RefundStep};
use purser_spend::{Spender, cap, token, verify};
use purser_values::env::TestClock;
use purser_values::id::{AgentId, ChargeId, GrantId, OrganisationId, PersonId, ResourceId};
use purser_values::{Currency, Env, Money, Secret, Sha256Digest};

pub const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, purser_spend::MIGRATIONS];

pub fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}

#[derive(Clone)]
pub struct World {
    pub db: Db,
    pub env: Env,
    pub clock: Arc<TestClock>,
    pub spender: Spender,
    pub person: PersonId,
    pub grant: GrantId,
}

impl World {
    /// An agent with a cap at every provider and a card that pays.
    pub async fn new(db: Db, cap_minor: i64) -> Self {
        let world = Self::bare(db, 7);
        world.grant_cap(cap_minor).await;
        world.card(SandboxCard::Pays).await;
        world
    }

    /// Nobody has set anything yet.
    pub fn bare(db: Db, seed: u64) -> Self {
        let (env, clock) = Env::test(START, seed);
        let spender = Spender { organisation: OrganisationId::mint(&env), agent: AgentId::mint(&env) };
        let (person, grant) = (PersonId::mint(&env), GrantId::mint(&env));
        Self { db, env, clock, spender, person, grant }
    }

    pub fn person(&self, role: Role) -> Caller {
        Caller::Person {
            person: self.person.clone(),
            organisation: self.spender.organisation.clone(),
            role,
            present_at: Some(self.env.now()),
        }
    }

    pub fn agent(&self) -> Caller {
        let Spender { organisation, agent } = self.spender.clone();
        Caller::Agent { agent, grant: self.grant.clone(), on_behalf_of: self.person.clone(), organisation, chain: Vec::new() }
    }

    /// A permit for the agent, as the saga gets it.
    pub fn agent_permit<A: Action>(&self) -> Permit<A> {
        let scope = GrantScope {
            projects: Reach::only([]),
            environments: Reach::All,
            providers: Reach::only([]),
            services: Reach::All,
            actions: purser_authority::action::grantable().map(str::to_owned).collect(),
            cap_per_provider_month: usd(0),
            caps: std::collections::BTreeMap::new(),
            total: None,
            irreversible: true,
            export: false,
            expires_at: self.env.now().plus_secs(60),
        };
        authorise(&self.agent(), &Facts { grant: Some(&scope), ..Facts::new(self.env.now(), "x") }).unwrap()
    }

    pub fn person_permit<A: Action>(&self, role: Role) -> Permit<A> {
        authorise(&self.person(role), &Facts::new(self.env.now(), "x")).unwrap()
    }

    pub fn provider_permit(&self, provider: &str) -> Permit<ChargeCreate> {
        let caller = Caller::Provider { provider: provider.parse().unwrap() };
        authorise(&caller, &Facts::new(self.env.now(), "x")).unwrap()
    }

    pub async fn grant_cap(&self, minor: i64) -> Money {
        let world = self.clone();
        let write = self.db.write(move |tx| {
            cap::grant(
                tx,
                &world.env,
                &world.person_permit::<GrantDecide>(Role::Owner),
                &world.spender,
                usd(minor),
                &std::collections::BTreeMap::new(),
            )
        });
        write.await.unwrap().value
    }

    /// Gives the money of a hold back, as undo does.
    pub async fn release(&self, hold: &Hold) {
        let (env, id) = (self.env.clone(), hold.id.clone());
        drop(self.db.write(move |tx| hold::release(tx, &env, &Caller::System, &id)).await.unwrap());
    }

    pub async fn expire(&self) -> usize {
        let env = self.env.clone();
        self.db.write(move |tx| hold::expire(tx, &env)).await.unwrap().value
    }

    pub async fn freeze(&self, frozen: bool) {
        let (env, agent) = (self.env.clone(), self.spender.agent.clone());
        self.db.write(move |tx| purser_spend::freeze::apply(tx, &agent, frozen, env.now())).await.unwrap();
    }

    /// Sets the cap and answers the jobs that follow.
    pub async fn set_cap(&self, provider: Option<&str>, minor: i64) -> Vec<purser_db::jobs::NewJob> {
        let world = self.clone();
        let set = cap::CapSet { spender: self.spender.clone(), provider: provider.map(|p| p.parse().unwrap()), amount: usd(minor) };
        self.db.write(move |tx| cap::set(tx, &world.env, &world.person_permit::<CapSet>(Role::Owner), &set)).await.unwrap().jobs
    }

    pub async fn card(&self, card: SandboxCard) -> PaymentMethod {
        let world = self.clone();
        let write = self.db.write(move |tx| {
            let at_rail = set_up(tx, &world.env, card)?;
            method::add(tx, &world.env, &world.person_permit::<PaymentMethodSet>(Role::Billing), &world.spender.organisation, &at_rail)
        });
        write.await.unwrap().value
    }

    pub fn line(id: &str, minor: i64, recurs: Recurs) -> Line {
        Line { id: id.to_owned(), description: format!("line {id}"), amount: usd(minor), recurs }
    }

    pub fn purchase(&self, key: &str, lines: Vec<Line>) -> Purchase {
        Purchase {
            spender: self.spender.clone(),
            grant: self.grant.clone(),
            total: None,
            above: Vec::new(),
            provider: "slipway".parse().unwrap(),
            project: "shop".parse().unwrap(),
            environment: "production".parse().unwrap(),
            categories: vec!["hosting".to_owned()],
            resource: ResourceId::mint(&self.env),
            quote: Quote { id: format!("quo-{key}"), digest: Sha256Digest::of(key.as_bytes()), lines, irreversible: false },
            by_credit: std::collections::BTreeMap::new(),
            irreversible_allowed: false,
            key: key.to_owned(),
            limits_url: "https://purser.test/limits".to_owned(),
            card_url: "https://purser.test/card".to_owned(),
        }
    }

    pub fn one(&self, key: &str, minor: i64) -> Purchase {
        self.purchase(key, vec![Self::line("a", minor, Recurs::Once)])
    }

    pub async fn place(&self, purchase: &Purchase) -> Result<Hold, HoldError> {
        let (world, purchase) = (self.clone(), purchase.clone());
        let write = self.db.write(move |tx| hold::place(tx, &world.env, &world.agent_permit::<ResourceAdd>(), &purchase));
        write.await.map(|done| done.value)
    }

    pub async fn issue(&self, hold: &Hold) -> Secret<String> {
        let (world, id) = (self.clone(), hold.id.clone());
        let write = self.db.write(move |tx| token::issue(tx, &world.env, &world.agent_permit::<ResourceAdd>(), &id));
        write.await.unwrap().value.plain
    }

    /// A hold of one line with its token.
    pub async fn held(&self, key: &str, minor: i64) -> (Hold, Secret<String>) {
        let hold = self.place(&self.one(key, minor)).await.unwrap();
        let plain = self.issue(&hold).await;
        (hold, plain)
    }

    pub fn ask(key: &str, token: &Secret<String>, hold: &Hold, line: &str, minor: i64) -> ChargeAsk {
        ChargeAsk {
            key: key.to_owned(),
            token: token.clone(),
            quote: hold.quote_id.clone(),
            line: line.to_owned(),
            amount: usd(minor),
            remote_resource: None,
            period: None,
        }
    }

    pub async fn begin(&self, ask: ChargeAsk) -> Result<ChargeStep, ChargeError> {
        self.begin_as("slipway", ask).await
    }

    pub async fn begin_as(&self, provider: &str, ask: ChargeAsk) -> Result<ChargeStep, ChargeError> {
        self.begun_as(provider, ask).await.map(|done| done.value)
    }

    /// The same with what is recorded of it.
    pub async fn begun_as(&self, provider: &str, ask: ChargeAsk) -> Result<Done<ChargeStep>, ChargeError> {
        let (world, provider) = (self.clone(), provider.to_owned());
        self.db.write(move |tx| charge::begin(tx, &world.env, &world.provider_permit(&provider), &ask)).await
    }

    pub async fn finish(&self, id: &ChargeId, outcome: RailOutcome) -> Done<Receipt> {
        let (world, id) = (self.clone(), id.clone());
        self.db.write(move |tx| charge::finish(tx, &world.env, &id, &outcome)).await.unwrap()
    }

    /// The whole way of a charge, as the server goes it.
    pub async fn charge(&self, ask: ChargeAsk) -> Receipt {
        match self.begin(ask).await.unwrap() {
            ChargeStep::Ended(receipt) => receipt,
            ChargeStep::Capture(order) => {
                let outcome = SandboxRail::new(self.db.clone(), self.env.clone(), "https://purser.test").capture(&order).await.unwrap();
                self.finish(&order.charge, outcome).await.value
            }
        }
    }

    pub async fn refund_begin(&self, provider: &str, ask: RefundAsk) -> Result<RefundStep, RefundError> {
        let (env, caller) = (self.env.clone(), Caller::Provider { provider: provider.parse().unwrap() });
        let write = self.db.write(move |tx| {
            let permit = authorise::<RefundCreate>(&caller, &Facts::new(env.now(), "x")).unwrap();
            refund::begin(tx, &env, &permit, &ask)
        });
        write.await.map(|done| done.value)
    }

    /// The whole way of a refund, as the server goes it.
    pub async fn refund(&self, ask: RefundAsk) -> Result<RefundReceipt, RefundError> {
        let order = match self.refund_begin("slipway", ask).await? {
            RefundStep::Ended(receipt) => return Ok(receipt),
            RefundStep::Give(order) => order,
        };
        let outcome = SandboxRail::new(self.db.clone(), self.env.clone(), "https://purser.test").refund(&order).await.unwrap();
        let env = self.env.clone();
        self.db.write(move |tx| refund::finish(tx, &env, &order.refund, &outcome)).await.map(|done| done.value)
    }

    /// (cap, captured, held, left) at the provider this month.
    pub async fn position(&self, provider: &str) -> (i64, i64, i64, i64) {
        let (world, provider) = (self.clone(), provider.parse().unwrap());
        let read = self.db.read(move |tx| {
            let permit = world.person_permit(Role::Auditor);
            cap::read(tx, &permit, &world.spender, &[provider], world.env.now().month())
        });
        let view = read.await.unwrap().remove(0);
        (view.cap.minor(), view.captured.minor(), view.held.minor(), view.left.minor())
    }

    pub async fn statement(&self) -> purser_spend::statement::Statement {
        let world = self.clone();
        let read = self.db.read(move |tx| {
            let permit = world.person_permit::<SpendRead>(Role::Billing);
            let zone = purser_spend::calendar::Zone::utc();
            purser_spend::statement::statement(tx, &permit, &world.spender.organisation, None, world.env.now().month(), &zone)
        });
        read.await.unwrap()
    }

    /// Every invariant, recomputed from the rows.
    pub async fn is_sound(&self) {
        let found = self.db.read::<_, DbError, _>(verify::check).await.unwrap();
        assert!(found.is_empty(), "{found:#?}");
    }
}
