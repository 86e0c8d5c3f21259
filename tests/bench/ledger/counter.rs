//! Our side: agents with a cap each, a card, and the batches in which their purchases are authorised. The rules, the rows and the write
//! are those of the orchestrator ([`purser_spend::hold::place_all`] behind [`purser_db::Gather`]); only HTTP, sagas and tokens are not here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use purser_authority::action::{GrantDecide, PaymentMethodSet, ResourceAdd};
use purser_authority::{Action, Caller, Facts, Permit, Role, authorise};
use purser_db::{Db, DbConfig, DbError, Gather, Migrations, Tx};
use purser_spend::hold::{self, Ask, Hold, Purchase};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::rail::sandbox::{SandboxCard, set_up};
use purser_spend::{Spender, cap, method, verify};
use purser_values::id::{GrantId, OrganisationId, PersonId, ResourceId};
use purser_values::limits::cap_max;
use purser_values::{Currency, Env, Money, Sha256Digest};

use crate::load::CALLERS;

const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, purser_audit::MIGRATIONS, purser_spend::MIGRATIONS];
/// Holds of one write when a table is filled.
const FILL: usize = 1_000;

/// What is written down beside the hold itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    None,
    /// The entry in the tamper-evident log, in the same commit.
    Audit,
}

#[derive(Clone)]
pub struct Counter {
    db: Db,
    env: Env,
    gather: Gather<Purchase, Result<Hold, String>>,
    spenders: Arc<Vec<Spender>>,
    grant: GrantId,
    answered: Arc<AtomicU64>,
    /// What goes away with the measurement.
    place: Arc<Place>,
}

enum Place {
    File(std::path::PathBuf),
    Schema { url: String, name: &'static str },
}

impl Counter {
    pub async fn sqlite(folder: &Path, agents: usize, records: Records) -> Self {
        let path = folder.join(format!("{}.db", ResourceId::mint(&Env::system())));
        let db = Db::open(&DbConfig::Sqlite { path: path.clone() }).await.unwrap();
        Self::new(db, Place::File(path), agents, cap_max(Currency::USD).minor(), records).await
    }

    pub async fn postgres(url: &str, agents: usize, records: Records) -> Self {
        Self::in_schema(url, agents, cap_max(Currency::USD).minor(), records).await
    }

    async fn in_schema(url: &str, agents: usize, cap_minor: i64, records: Records) -> Self {
        let name = "bench_ledger";
        schema(url, "drop schema if exists bench_ledger cascade; create schema bench_ledger").await;
        let own = format!("{url}?options=-csearch_path%3D{name}");
        let db = Db::open(&DbConfig::Postgres { url: own }).await.unwrap();
        Self::new(db, Place::Schema { url: url.to_owned(), name }, agents, cap_minor, records).await
    }

    async fn new(db: Db, place: Place, agents: usize, cap_minor: i64, records: Records) -> Self {
        let env = Env::system();
        db.migrate(&env, TABLES).await.unwrap();
        let organisation = OrganisationId::mint(&env);
        let spenders: Vec<Spender> =
            (0..agents).map(|_| Spender { organisation: organisation.clone(), agent: purser_values::id::AgentId::mint(&env) }).collect();
        prepare(&db, &env, &spenders, cap_minor).await;
        let gather = Gather::start(db.clone(), {
            let env = env.clone();
            move |tx, purchases| together(tx, &env, purchases, records)
        });
        let (spenders, answered) = (Arc::new(spenders), Arc::new(AtomicU64::new(0)));
        Self { db, gather, spenders, grant: GrantId::mint(&env), env, answered, place: Arc::new(place) }
    }

    /// One authorisation of one minor unit for a caller; the cap is far away.
    pub async fn authorise(&self, caller: usize) -> Hold {
        let hold = self.try_authorise(caller).await.expect("the cap is far away");
        self.answered.fetch_add(1, Ordering::Relaxed);
        hold
    }

    async fn try_authorise(&self, caller: usize) -> Result<Hold, String> {
        loop {
            match self.gather.ask(self.purchase(caller)).await {
                Err(e) if e.is_transient() => {}
                answer => return answer.expect("the store works"),
            }
        }
    }

    fn purchase(&self, caller: usize) -> Purchase {
        let resource = ResourceId::mint(&self.env);
        let amount = Money::from_minor(1, Currency::USD);
        let line = Line { id: "a".to_owned(), description: "bench".to_owned(), amount, recurs: Recurs::Once };
        Purchase {
            spender: self.spenders[caller % self.spenders.len()].clone(),
            grant: self.grant.clone(),
            total: None,
            above: Vec::new(),
            provider: "slipway".parse().unwrap(),
            project: "bench".parse().unwrap(),
            environment: "production".parse().unwrap(),
            categories: Vec::new(),
            key: resource.to_string(),
            resource,
            quote: Quote { id: "q".to_owned(), digest: Sha256Digest::of(b"q"), lines: vec![line], irreversible: false },
            by_credit: std::collections::BTreeMap::new(),
            irreversible_allowed: false,
            limits_url: String::new(),
            card_url: String::new(),
        }
    }

    /// Holds that are there already.
    pub async fn fill(&self, holds: usize) {
        for first in (0..holds).step_by(FILL) {
            let purchases: Vec<Purchase> = (first..holds).take(FILL).map(|n| self.purchase(n)).collect();
            let (env, count) = (self.env.clone(), purchases.len());
            let write = self.db.write(move |tx| together(tx, &env, &purchases, Records::None));
            assert!(write.await.unwrap().iter().all(Result::is_ok));
            self.answered.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// What was answered is there, no more and no less; then everything goes away.
    pub async fn close(self) {
        let answered = self.answered.load(Ordering::Relaxed);
        let held = self.db.read::<_, DbError, _>(|tx| {
            tx.query_one("select cast(coalesce(sum(balance), 0) as bigint) as held from ledger_account where id like 'cap/%/held'", &[])?
                .get::<i64>("held")
        });
        assert_eq!(held.await.unwrap(), i64::try_from(answered).unwrap(), "what is held is not what was answered");
        drop(self.gather);
        drop(self.db);
        match &*self.place {
            Place::File(path) => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
                }
            }
            Place::Schema { url, name } => {
                assert_eq!(*name, "bench_ledger");
                schema(url, "drop schema if exists bench_ledger cascade").await;
            }
        }
    }
}

/// A cap with room for 1,000 and 64 callers that want 2,000: exactly 1,000 are authorised, on both engines.
pub async fn is_exact(folder: &Path, pg: &str) {
    let path = folder.join("exact.db");
    let db = Db::open(&DbConfig::Sqlite { path: path.clone() }).await.unwrap();
    let sqlite = Counter::new(db, Place::File(path), 1, 1_000, Records::None).await;
    for counter in [sqlite, Counter::in_schema(pg, 1, 1_000, Records::None).await] {
        let tasks: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let counter = counter.clone();
                tokio::spawn(async move {
                    for _ in 0..2_000 / CALLERS {
                        if counter.try_authorise(caller).await.is_ok() {
                            counter.answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(counter.answered.load(Ordering::Relaxed), 1_000, "the cap was passed, or room was lost");
        let found = counter.db.read::<_, DbError, _>(verify::check).await.unwrap();
        assert!(found.is_empty(), "{found:#?}");
        counter.close().await;
    }
}

/// One batch: authorised together, with its entries in the log.
fn together(tx: &mut Tx<'_>, env: &Env, purchases: &[Purchase], records: Records) -> Result<Vec<Result<Hold, String>>, DbError> {
    let permits: Vec<Permit<ResourceAdd>> =
        purchases.iter().map(|purchase| permit(env, &Caller::System, purchase.resource.as_str())).collect();
    let asks: Vec<Ask<'_>> = permits.iter().zip(purchases).collect();
    let mut events = Vec::new();
    let mut answers = Vec::with_capacity(asks.len());
    for answer in hold::place_all(tx, env, &asks)? {
        answers.push(match answer {
            Ok(mut done) => {
                events.append(&mut done.events);
                Ok(done.value)
            }
            Err(e) => Err(e.to_string()),
        });
    }
    if records == Records::Audit {
        purser_audit::append(tx, env, &events)?;
    }
    Ok(answers)
}

fn permit<A: Action>(env: &Env, caller: &Caller, subject: &str) -> Permit<A> {
    authorise(caller, &Facts::new(env.now(), subject)).unwrap()
}

async fn prepare(db: &Db, env: &Env, spenders: &[Spender], cap_minor: i64) {
    let (env, spenders) = (env.clone(), spenders.to_vec());
    let write = db.write(move |tx| -> Result<(), DbError> {
        let organisation = spenders[0].organisation.clone();
        let person = PersonId::mint(&env);
        let owner = Caller::Person { person, organisation: organisation.clone(), role: Role::Owner, present_at: Some(env.now()) };
        let at_rail = set_up(tx, &env, SandboxCard::Pays)?;
        drop(method::add(tx, &env, &permit::<PaymentMethodSet>(&env, &owner, "bench"), &organisation, &at_rail).unwrap());
        for spender in &spenders {
            let (most, decide) = (Money::from_minor(cap_minor, Currency::USD), permit::<GrantDecide>(&env, &owner, "bench"));
            drop(cap::grant(tx, &env, &decide, spender, most, &std::collections::BTreeMap::new()).unwrap());
        }
        Ok(())
    });
    write.await.unwrap();
}

/// A schema for one measurement. Its statements are ours, and the migrations are the one way to run more than one at a time.
async fn schema(url: &str, statements: &'static str) {
    let db = Db::open(&DbConfig::Postgres { url: url.to_owned() }).await.unwrap();
    db.write(move |tx| -> Result<(), DbError> { statements.split(';').try_for_each(|one| tx.execute(one.trim(), &[]).map(drop)) })
        .await
        .unwrap();
}
