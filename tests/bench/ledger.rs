//! How many authorisations a second one cap decides, each durable before it is answered: ours on both engines and over HTTP, beside a
//! stored function of PostgreSQL on one hot row and the bare disk, in turn on the same machine.
//!
//! `cargo xtask bench ledger` builds and runs it, with a PostgreSQL of its own that keeps what it commits. 64 callers ask, wait for the
//! answer and ask again; a round is all of the ways one after the other, and ratios are the medians over the rounds. Every way is checked
//! afterwards: nothing overspent, nothing lost. One JSON object goes to stdout.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement stops at the first surprise, and prints"
)]

#[path = "token/connection.rs"]
#[allow(dead_code, reason = "each measurement speaks its own language")]
mod connection;
#[path = "ledger/counter.rs"]
mod counter;
#[path = "ledger/disk.rs"]
mod disk;
#[path = "ledger/front.rs"]
mod front;
#[path = "ledger/growth.rs"]
mod growth;
#[path = "ledger/load.rs"]
mod load;
#[path = "ledger/naive.rs"]
mod naive;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::counter::{Counter, Records};
use crate::load::{CALLERS, Measured};

/// As the programs that are measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Purchases that an account has behind it, for the question whether a decision slows with them.
const FEW: usize = 1_000;
const MANY: usize = 1_000_000;

/// One round's results, by way.
type Round = BTreeMap<&'static str, Measured>;

fn main() {
    let argument = |at: usize, usual: u64| std::env::args().nth(at).map_or(usual, |text| text.parse().expect("a number"));
    let (rounds, window) = (argument(1, 5).max(1), Duration::from_millis(argument(2, 2_000)));
    let many = usize::try_from(argument(3, MANY as u64)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let pg = std::env::var("PURSER_BENCH_PG_URL").expect("PURSER_BENCH_PG_URL names a PostgreSQL that is durable");
        let folder = tempfile::tempdir().unwrap();
        let naive = naive::Naive::prepare(&pg).await;
        let mut all = Vec::new();
        for round in 1..=rounds {
            let measured = one_round(folder.path(), &pg, &naive, window).await;
            let said: Vec<String> = measured.iter().map(|(way, m)| format!("{way} {:.0}", m.rate)).collect();
            eprintln!("round {round} of {rounds}, per second: {}", said.join(", "));
            all.push(measured);
        }
        naive.is_sound().await;
        let growth = growth::rates(folder.path(), FEW, many, window).await;
        println!("{}", summary(&all, &growth));
    });
}

async fn one_round(folder: &std::path::Path, pg: &str, naive: &naive::Naive, window: Duration) -> Round {
    let mut round = Round::new();
    round.insert("fdatasync_4k", disk::overwrite(folder, 4_096, window));
    round.insert("fdatasync_8k", disk::overwrite(folder, 8_192, window));
    for (way, agents, records) in
        [("sqlite_hot", 1, Records::None), ("sqlite_hot_audited", 1, Records::Audit), ("sqlite_spread", CALLERS, Records::None)]
    {
        let counter = Counter::sqlite(folder, agents, records).await;
        round.insert(way, load::in_process(&counter, CALLERS, window).await);
        counter.close().await;
    }
    round.insert("pg_naive_hot", naive.hot(window));
    let counter = Counter::sqlite(folder, 1, Records::None).await;
    round.insert("http_hot", front::over_http(&counter, window).await);
    counter.close().await;
    // Beside a sample of the disk before and one after it: it drifts within seconds.
    let counter = Counter::sqlite(folder, 1, Records::None).await;
    let before = disk::overwrite(folder, 4_096, window / 2);
    round.insert("sqlite_one_caller", load::in_process(&counter, 1, window).await);
    let after = disk::overwrite(folder, 4_096, window / 2);
    round.insert("fdatasync_4k_beside", Measured { p50_us: f64::midpoint(before.p50_us, after.p50_us), ..after });
    counter.close().await;
    for (way, agents, records) in
        [("pg_hot", 1, Records::None), ("pg_hot_audited", 1, Records::Audit), ("pg_spread", CALLERS, Records::None)]
    {
        let counter = Counter::postgres(pg, agents, records).await;
        round.insert(way, load::in_process(&counter, CALLERS, window).await);
        counter.close().await;
    }
    round.insert("pg_naive_spread", naive.spread(window));
    round.insert("fdatasync_4k_after", disk::overwrite(folder, 4_096, window));
    counter::is_exact(folder, pg).await;
    round
}

fn summary(rounds: &[Round], growth: &growth::Growth) -> Value {
    let of = |way: &str, what: fn(&Measured) -> f64| median(rounds.iter().map(|round| what(&round[way])));
    let ratio = |ours: &str, theirs: &str| hundredths(median(rounds.iter().map(|round| round[ours].rate / round[theirs].rate)));
    let mut metrics = Map::new();
    for way in rounds[0].keys() {
        metrics.insert(format!("{way}_per_s"), json!(of(way, |m| m.rate).round()));
        metrics.insert(format!("{way}_p50_us"), json!(of(way, |m| m.p50_us)));
        metrics.insert(format!("{way}_p99_us"), json!(of(way, |m| m.p99_us)));
    }
    // What 64 callers could have of this disk if each flush served all of them.
    let ceiling = median(rounds.iter().map(|round| round["fdatasync_8k"].rate * CALLERS as f64));
    metrics.insert("group_commit_ceiling_per_s".to_owned(), json!(ceiling.round()));
    metrics.insert("callers".to_owned(), json!(CALLERS));
    metrics.insert("overshoot_minor".to_owned(), json!(0));
    metrics.insert("past_few_per_s".to_owned(), json!(growth.few.round()));
    metrics.insert("past_many_per_s".to_owned(), json!(growth.many.round()));
    metrics.insert("past_many".to_owned(), json!(growth.rows));
    json!({
        "name": "ledger",
        "rounds": rounds.len(),
        "metrics": metrics,
        "ratios": {
            "sqlite_hot_vs_pg_naive_hot": ratio("sqlite_hot", "pg_naive_hot"),
            "pg_hot_vs_pg_naive_hot": ratio("pg_hot", "pg_naive_hot"),
            "http_hot_vs_pg_naive_hot": ratio("http_hot", "pg_naive_hot"),
            "hot_vs_spread": ratio("sqlite_hot", "sqlite_spread"),
            "pg_hot_vs_pg_spread": ratio("pg_hot", "pg_spread"),
            "one_caller_vs_fdatasync": hundredths(median(rounds.iter().map(|round| round["sqlite_one_caller"].p50_us / round["fdatasync_4k_beside"].p50_us))),
            "audited_vs_unaudited": ratio("sqlite_hot_audited", "sqlite_hot"),
            "pg_audited_vs_unaudited": ratio("pg_hot_audited", "pg_hot"),
            "sqlite_hot_vs_group_commit_ceiling": hundredths(of("sqlite_hot", |m| m.rate) / ceiling),
            "million_vs_thousand_past": hundredths(growth.few / growth.many),
        },
    })
}

fn hundredths(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
