//! The ledger against a naive oracle: random operations, concurrent, repeated, duplicated with another body, out of order, under clocks
//! that jump, and killed; with subscriptions that come again and use that is metered. Every answer must be the oracle's, and every balance; so
//! nothing is overspent, lost or made.
//!
//! Each write takes a seat in the order of all writes; the oracle is told the operations in that order. Ordinary runs do 50,000 operations
//! on SQLite and 5,000 on PostgreSQL; with PURSER_DEEP twenty times as many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test; its child tells it on standard output how far it came"
)]

#[path = "model/ledger.rs"]
mod ledger;
#[path = "model/op.rs"]
mod op;
#[path = "model/oracle.rs"]
mod oracle;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ledger::{Ledger, Stop, TABLES};
use op::{Act, Dice, Named, Op};
use oracle::Oracle;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbConfig, DbError, Engine, Tx, params};
use purser_spend::verify;
use purser_values::Env;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const DB_VAR: &str = "PURSER_MODEL_DB";
const LIFE_VAR: &str = "PURSER_MODEL_LIFE";

fn deep() -> bool {
    std::env::var_os("PURSER_DEEP").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_ledger_answers_and_stands_as_a_naive_oracle_says() {
    each_engine(TABLES, |db| async move {
        let (operations, at_once) = match db.engine() {
            Engine::Sqlite => (50_000, 16),
            Engine::Postgres => (5_000, 4),
        };
        let operations = if deep() { operations * 20 } else { operations };
        let (ledger, mut oracle) = (Ledger::new(db.clone(), 1), Oracle::new());
        ledger.prepare(START.as_secs()).await;
        let mut answers = std::collections::BTreeMap::<String, u64>::new();
        let mut tallies = Tallies::default();
        for first in (0..operations).step_by(at_once) {
            let numbers: Vec<u64> = (first..operations).take(at_once).collect();
            for (op, outcome) in together(&ledger, SEED, &numbers).await {
                assert_eq!(outcome, oracle.tell(&op), "{op:?}");
                tallies.add(&op.act, &outcome);
                tallies.in_part += u64::from(outcome == "begun" && oracle.is_in_part(&op.act));
                *answers.entry(outcome).or_default() += 1;
            }
            if first % 4096 < u64::try_from(at_once).unwrap() {
                compare(&ledger, &oracle).await;
            }
        }
        compare(&ledger, &oracle).await;
        is_sound(&db).await;
        for must in [
            "ok",
            "begun",
            "succeeded",
            "declined",
            "cap_reached",
            "cap_currency",
            "ceiling_reached",
            "agent_frozen",
            "idempotency_key_reused",
            "refund_over_charge",
            "amount_invalid",
            "amount_over_line",
            "payment_token_expired",
            "line_charged",
            "hold_expired",
            "line_busy",
            "period_not_reserved",
            "usage_block_differs",
            "usage_blocks_too_many",
        ] {
            // 5,000 operations are too few to meet the rarest in every order of events.
            assert!(db.engine() == Engine::Postgres || answers.contains_key(must), "the run never met `{must}`: {answers:?}");
        }
        println!("{:?}: {operations} operations: {tallies:?} {answers:?}", db.engine());
        // A run in which most is refused says little of what happens when money moves.
        for (what, at_least, Tally { asked, done }) in
            [("purchases", 20, tallies.bought), ("charges", 10, tallies.charged), ("refunds", 1, tallies.refunded)]
        {
            assert!(done * 100 >= asked * at_least, "only {done} of {asked} {what} were let through");
        }
        for (what, done) in [("charges in part", tallies.in_part), ("purchases in euros", tallies.in_euros)] {
            assert!(done * 50 >= tallies.bought.done, "only {done} {what}");
        }
        // The short run on PostgreSQL is over before the second month.
        for (what, done) in [("blocks of use", tallies.used), ("charges of use", tallies.metered), ("renewals", tallies.renewed)] {
            assert!(db.engine() == Engine::Postgres || done * 200 >= tallies.bought.done, "only {done} {what}");
        }
    })
    .await;
}

/// How much of what was asked for was let through.
#[derive(Debug, Default)]
struct Tallies {
    bought: Tally,
    charged: Tally,
    refunded: Tally,
    /// Purchases in the other currency, and captures of less than was held.
    in_euros: u64,
    in_part: u64,
    /// Blocks of use that were set aside, charges of them, and charges of a subscription's further months.
    used: u64,
    metered: u64,
    renewed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    asked: u64,
    done: u64,
}

impl Tallies {
    fn add(&mut self, act: &Act, outcome: &str) {
        match act {
            Act::Use { .. } if outcome == "ok" => self.used += 1,
            Act::Begin { line: op::METERED, .. } if outcome == "begun" => self.metered += 1,
            Act::Begin { named: Some(_), .. } if outcome == "begun" => self.renewed += 1,
            _ => {}
        }
        let tally = match act {
            Act::Buy { .. } => &mut self.bought,
            Act::Begin { .. } => &mut self.charged,
            Act::Refund { .. } => &mut self.refunded,
            _ => return,
        };
        if outcome == "ok" && matches!(act, Act::Buy { key, .. } if op::is_in_euros(*key)) {
            self.in_euros += 1;
        }
        tally.asked += 1;
        tally.done += u64::from(matches!(outcome, "ok" | "begun" | "succeeded" | "declined"));
    }
}

/// Some operations at once; answered in the order in which they happened.
async fn together(ledger: &Ledger, seed: u64, numbers: &[u64]) -> Vec<(Op, String)> {
    let tasks: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (ledger, op) = (ledger.clone(), op::op(seed, *number));
            tokio::spawn(async move {
                let (n, outcome) = ledger.act(&op).await;
                (n, op, outcome)
            })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done.sort_by_key(|(n, ..)| *n);
    done.into_iter().map(|(_, op, outcome)| (op, outcome)).collect()
}

async fn compare(ledger: &Ledger, oracle: &Oracle) {
    let (ledger, buckets, paid) = (ledger.clone(), oracle.buckets.clone(), oracle.paid);
    let db = ledger.db.clone();
    db.read::<_, DbError, _>(move |tx| ledger.compare(tx, &buckets, paid)).await.unwrap();
}

async fn is_sound(db: &Db) {
    let found = db.read::<_, DbError, _>(verify::check).await.unwrap();
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_loses_nothing_that_it_answered_and_makes_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let db = open(&path).await;
    let ledger = Ledger::new(db.clone(), 1);
    ledger.prepare(START.as_secs()).await;
    let mut dice = Dice::new(SEED);
    let mut told = 0;
    for life in 0..if deep() { 40 } else { 5 } {
        let acknowledged = live_and_be_killed(&path, life, Duration::from_millis(300 + dice.below(700)));
        let log = db.read::<_, DbError, _>(log).await.unwrap();
        for n in acknowledged {
            assert!(log.binary_search_by_key(&n, |(at, ..)| *at).is_ok(), "the write {n} was answered and is lost");
        }
        // The whole story from the beginning: what is in the log is all that happened.
        let mut oracle = Oracle::new();
        for (_, op, outcome) in &log {
            assert_eq!(*outcome, oracle.tell(op), "{op:?}");
        }
        compare(&ledger, &oracle).await;
        is_sound(&db).await;
        assert!(log.len() > told, "a life in which nothing happened shows nothing");
        told = log.len();
    }
}

/// Starts the child, lets it work, kills it, and answers the writes that it said were done.
fn live_and_be_killed(path: &std::path::Path, life: u64, time: Duration) -> Vec<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_life_that_is_killed", "--nocapture"])
        .env(DB_VAR, path)
        .env(LIFE_VAR, life.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (first, begun) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        // The last line may be torn off; a number that was cut short is another number.
        let all: Vec<String> = lines.inspect(|_| _ = first.send(())).collect();
        all.iter().filter_map(|line| line.strip_prefix("done ")?.strip_suffix('.')?.parse().ok()).collect()
    });
    for _ in 0..20 {
        begun.recv_timeout(Duration::from_secs(60)).expect("the child says something");
    }
    let over = Instant::now() + time;
    while Instant::now() < over && begun.recv_timeout(over.saturating_duration_since(Instant::now())).is_ok() {}
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Not a test by itself: what the test above starts and kills. Without its variables it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_that_is_killed() {
    let (Ok(path), Ok(life)) = (std::env::var(DB_VAR), std::env::var(LIFE_VAR)) else { return };
    let ledger = Ledger::new(open(path.as_ref()).await, 1);
    let life: u64 = life.parse().unwrap();
    // Lives overlap in their numbers, as a client does that repeats what it got no answer to.
    for first in (life * 200..).step_by(16) {
        let tasks: Vec<_> = (first..first + 16)
            .map(|number| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    let (n, _) = ledger.act(&op::op(SEED, number)).await;
                    println!("done {n}.");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

async fn open(path: &std::path::Path) -> Db {
    let db = Db::open(&DbConfig::Sqlite { path: path.to_owned() }).await.unwrap();
    db.migrate(&Env::test(START, 1).0, TABLES).await.unwrap();
    db
}

fn log(tx: &mut Tx<'_>) -> Result<Vec<(i64, Op, String)>, DbError> {
    let rows = tx.query("select n, op, outcome from model_log order by n", params![])?;
    rows.iter().map(|row| Ok((row.get("n")?, row.json("op")?, row.get("outcome")?))).collect()
}

/// Everything that can become of one purchase of two lines, in every order, to this depth.
#[tokio::test]
async fn every_short_life_of_a_hold_ends_as_the_oracle_says() {
    // Under a key that is no subscription's.
    let buy = Op { at_s: START.as_secs(), act: Act::Buy { agent: 0, provider: 0, key: 2, minor: 5_00, lines: 2 } };
    let (soon, late) = (START.as_secs() + 60, START.as_secs() + 3_600);
    let charge = |at_s, line| Op { at_s, act: begin(10 + u64::try_from(line).unwrap(), line, 4_00, None) };
    let ways = [
        charge(soon, 0),
        charge(soon, 1),
        charge(late, 1),
        finish(soon, 10, true),
        finish(soon, 10, false),
        finish(soon, 11, true),
        Op { at_s: soon, act: Act::Release { purchase: 2 } },
        Op { at_s: late, act: Act::Expire },
        Op { at_s: soon, act: Act::Refund { charge: 10, provider: 0, key: 20, minor: 3_00 } },
        Op { at_s: soon, act: Act::Refund { charge: 10, provider: 0, key: 21, minor: 2_00 } },
        Op { at_s: soon, act: Act::FinishRefund { refund: 20, provider: 0, given: true } },
    ];
    every_life(buy, &ways, if deep() { 6 } else { 4 }).await;
}

/// The same of a subscription with metered use, over its first month and into its second.
#[tokio::test]
async fn every_short_life_of_a_subscription_ends_as_the_oracle_says() {
    let buy = Op { at_s: START.as_secs(), act: Act::Buy { agent: 0, provider: 0, key: 2_001, minor: 5_00, lines: 1 } };
    let soon = START.as_secs() + 60;
    let due = START.plus_months(1).as_secs() + 60;
    let long_after = due + 8 * 86_400;
    let month = |at_s| Named { month_s: purser_values::Timestamp::from_secs(at_s).month().start().as_secs(), block: None };
    let block = Named { block: Some(1), ..month(soon) };
    let charge = |at_s, key, line, named| Op { at_s, act: begin_of(2_001, key, line, 4_00, named) };
    let ways = [
        charge(soon, 10, 0, None),
        finish(soon, 10, true),
        Op { at_s: soon, act: Act::Use { purchase: 2_001, provider: 0, block, minor: 4_00 } },
        charge(due, 11, op::METERED, Some(block)),
        finish(due, 11, false),
        Op { at_s: due, act: Act::Unuse { purchase: 2_001, provider: 0, block } },
        Op { at_s: due - 86_400, act: Act::Renew },
        charge(due, 12, 0, Some(month(due))),
        finish(long_after, 12, true),
        Op { at_s: long_after, act: Act::Expire },
        Op { at_s: due, act: Act::Release { purchase: 2_001 } },
    ];
    every_life(buy, &ways, if deep() { 6 } else { 4 }).await;
}

fn begin(key: u64, line: usize, minor: i64, named: Option<Named>) -> Act {
    begin_of(2, key, line, minor, named)
}

const fn begin_of(purchase: u64, key: u64, line: usize, minor: i64, named: Option<Named>) -> Act {
    Act::Begin { purchase, provider: 0, key, line, minor, named }
}

const fn finish(at_s: i64, charge: u64, captured: bool) -> Op {
    Op { at_s, act: Act::Finish { charge, provider: 0, captured } }
}

async fn every_life(buy: Op, ways: &[Op], depth: usize) {
    let path = tempfile::tempdir().unwrap();
    let db = open(&path.path().join("ledger.db")).await;
    let ledger = Ledger::new(db.clone(), 1);
    ledger.prepare(START.as_secs()).await;
    let ways = ways.to_vec();
    let lives = db.write(move |tx| -> Result<u64, DbError> {
        let mut oracle = Oracle::new();
        assert_eq!(ledger.one(tx, &buy)?, oracle.tell(&buy));
        every_way_on(&ledger, tx, &oracle, &ways, depth)
    });
    let lives = lives.await.unwrap();
    assert!(lives > 10_u64.pow(u32::try_from(depth).unwrap()), "{lives}");
}

/// Goes on in every way, and undoes each before the next. Answers how many lives there were.
fn every_way_on(ledger: &Ledger, tx: &mut Tx<'_>, oracle: &Oracle, ways: &[Op], depth: usize) -> Result<u64, DbError> {
    if depth == 0 {
        return Ok(1);
    }
    let mut lives = 0;
    for way in ways {
        let mut after = oracle.clone();
        let undone = tx.savepoint(|tx| -> Result<(), Stop> {
            assert_eq!(ledger.one(tx, way)?, after.tell(way), "{way:?}");
            ledger.compare(tx, &after.buckets, after.paid)?;
            lives += every_way_on(ledger, tx, &after, ways, depth - 1)?;
            Err(Stop::Refused("undone"))
        });
        if let Err(Stop::Store(e)) = undone {
            return Err(e);
        }
    }
    Ok(lives)
}
