//! How many purchases a second one cap decides: 64 callers, every hold durable before it is answered.
//!
//! `cargo run --release -p purser-spend --example bench_holds [SECONDS]`. SQLite always; PostgreSQL where `PURSER_TEST_PG_URL`
//! names a server. `spread` gives each caller an agent of its own, `hot` lets all of them meet one cap.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a bench stops at the first surprise and prints")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use purser_authority::action::{GrantDecide, PaymentMethodSet, ResourceAdd};
use purser_authority::{Action, Caller, Facts, Permit, Role, authorise};
use purser_db::testing::each_engine;
use purser_db::{Db, DbError, Migrations};
use purser_spend::hold::{self, HoldError, Purchase};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::rail::sandbox::{SandboxCard, set_up};
use purser_spend::{Spender, cap, method, verify};
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId, ResourceId};
use purser_values::limits::CAP_MAX_MINOR;
use purser_values::{Currency, Env, Money, Sha256Digest};

const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, purser_spend::MIGRATIONS];
const CALLERS: usize = 64;

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    each_engine(TABLES, |db| async move {
        for (name, agents) in [("hot", 1), ("spread", CALLERS)] {
            let rate = run(&db, agents, Duration::from_secs(seconds)).await;
            println!("{:?} {name}: {rate:.0} holds/s with {CALLERS} callers", db.engine());
        }
        let found = db.read::<_, DbError, _>(verify::check).await.unwrap();
        assert!(found.is_empty(), "{found:#?}");
    })
    .await;
}

async fn run(db: &Db, agents: usize, time: Duration) -> f64 {
    let env = Env::system();
    let organisation = OrganisationId::mint(&env);
    let spenders: Vec<_> = (0..agents).map(|_| Spender { organisation: organisation.clone(), agent: AgentId::mint(&env) }).collect();
    prepare(db, &env, &spenders).await;
    let (done, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let callers: Vec<_> = (0..CALLERS)
        .map(|i| {
            let (db, env, spender, done) = (db.clone(), env.clone(), spenders[i % agents].clone(), done.clone());
            tokio::spawn(async move {
                while began.elapsed() < time {
                    match buy(&db, &env, &spender).await {
                        Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                        Err(HoldError::Store(e)) if e.is_transient() => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    rate
}

fn permit<A: Action>(env: &Env, caller: &Caller) -> Permit<A> {
    authorise(caller, &Facts::new(env.now(), "bench")).unwrap()
}

async fn prepare(db: &Db, env: &Env, spenders: &[Spender]) {
    let (env, spenders) = (env.clone(), spenders.to_vec());
    let write = db.write(move |tx| -> Result<(), DbError> {
        let organisation = spenders[0].organisation.clone();
        let owner = Caller::Person {
            person: PersonId::mint(&env),
            organisation: organisation.clone(),
            role: Role::Owner,
            present_at: Some(env.now()),
        };
        let at_rail = set_up(tx, &env, SandboxCard::Pays)?;
        drop(method::add(tx, &env, &permit::<PaymentMethodSet>(&env, &owner), &organisation, &at_rail).unwrap());
        for spender in &spenders {
            let most = Money::from_minor(CAP_MAX_MINOR, Currency::USD);
            drop(cap::grant(tx, &env, &permit::<GrantDecide>(&env, &owner), spender, most, &std::collections::BTreeMap::new()).unwrap());
        }
        Ok(())
    });
    write.await.unwrap();
}

async fn buy(db: &Db, env: &Env, spender: &Spender) -> Result<(), HoldError> {
    let resource = ResourceId::mint(env);
    let line =
        Line { id: "a".to_owned(), description: "bench".to_owned(), amount: Money::from_minor(1, Currency::USD), recurs: Recurs::Once };
    let purchase = Purchase {
        spender: spender.clone(),
        grant: GrantId::mint(env),
        total: None,
        above: Vec::new(),
        provider: "slipway".parse().unwrap(),
        project: "bench".parse().unwrap(),
        environment: "production".parse().unwrap(),
        categories: Vec::new(),
        key: resource.to_string(),
        resource,
        quote: Quote { id: "q".to_owned(), digest: Sha256Digest::of(b"q"), lines: vec![line], irreversible: false },
        irreversible_allowed: false,
        limits_url: String::new(),
        card_url: String::new(),
    };
    let env = env.clone();
    db.write(move |tx| hold::place(tx, &env, &permit::<ResourceAdd>(&env, &Caller::System), &purchase).map(drop)).await
}
