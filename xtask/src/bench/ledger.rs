//! The ledger beside a stored function of PostgreSQL; what measures is a program of its own, `tests/bench/ledger.rs`.

use serde_json::Value;

use super::machine;
use crate::fail::{Context, Outcome};
use crate::house::{House, Profile};
use crate::peers::postgres::{self, Source};
use crate::{process, progress};

/// What the ratios must reach, and those that must stay below.
const AT_LEAST: [(&str, f64); 5] = [
    ("sqlite_hot_vs_pg_naive_hot", 25.0),
    ("pg_hot_vs_pg_naive_hot", 10.0),
    ("http_hot_vs_pg_naive_hot", 12.0),
    ("hot_vs_spread", 0.85),
    ("audited_vs_unaudited", 0.85),
];
const AT_MOST: [(&str, f64); 2] = [("one_caller_vs_fdatasync", 2.5), ("million_vs_thousand_past", 1.3)];

pub fn run(house: &House, rounds: u32, as_json: bool) -> Outcome<()> {
    progress::step("build the measurement in release", || {
        let mut command = process::cargo();
        command.args(["build", "--release", "--package", "purser-tests", "--bin", "bench-ledger"]).current_dir(house.root());
        process::loud(&mut command, "building")
    })?;
    let server = postgres::start_durable(house, Source::Any)?;
    let said = progress::step("authorise in turn, ours and theirs", || {
        let mut command = process::bound(&house.binary(Profile::Release, "bench-ledger"), "TERM");
        command.arg(rounds.to_string()).env("PURSER_BENCH_PG_URL", server.url()).env("PURSER_BENCH_PGBENCH", server.program("pgbench"));
        server.lend_libraries(&mut command);
        process::capture(&mut command, "measuring")
    })?;
    drop(server);
    let mut summary: Value = serde_json::from_str(said.trim()).context(|| "reading what was measured".to_owned())?;
    summary["machine"] = machine::describe();
    if as_json {
        println!("{summary}");
    } else {
        table(&summary);
    }
    Ok(())
}

fn table(summary: &Value) {
    let metrics = summary["metrics"].as_object().into_iter().flatten();
    for way in metrics.filter_map(|(name, _)| name.strip_suffix("_p99_us")) {
        let metric = |what: &str| summary["metrics"][format!("{way}_{what}")].as_f64().unwrap_or_default();
        println!("{:>9}/s  p50 {:>8.1} us  p99 {:>9.1} us  {way}", metric("per_s"), metric("p50_us"), metric("p99_us"));
    }
    for (name, goal) in AT_LEAST {
        println!("{:>9}   {name} (goal: at least {goal})", summary["ratios"][name]);
    }
    for (name, goal) in AT_MOST {
        println!("{:>9}   {name} (goal: at most {goal})", summary["ratios"][name]);
    }
}
