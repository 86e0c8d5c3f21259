//! How many tokens a second: ours beside npm `oidc-provider`, in turn on the same machine, from this one load generator.
//!
//! `cargo xtask bench token` builds and runs it. Both servers run as they ship: ours with SQLite, durable, with its log and its audit
//! entries; the other in memory. Every connection asks, waits for the answer and asks again; proofs are signed before the clock runs.
//! The generator shares two cores with what it measures: it never takes one from a server that is at work (SCHED_BATCH), whoever's it is.
//! One JSON object goes to stdout.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise, and prints"
)]

#[path = "token/bare.rs"]
mod bare;
#[path = "token/connection.rs"]
mod connection;
#[path = "token/cpu.rs"]
mod cpu;
#[path = "token/disk.rs"]
mod disk;
#[path = "token/load.rs"]
mod load;
#[path = "token/machine.rs"]
mod machine;
#[path = "token/servers.rs"]
mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Kind, Measured, Side};
use crate::servers::Servers;

/// As the programs that are measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 16;
/// One round: the two sides take turns.
const TURNS: [(Kind, Side); 8] = [
    (Kind::ClientCredentials, Side::Ours),
    (Kind::ClientCredentials, Side::Theirs),
    (Kind::Refresh, Side::Ours),
    (Kind::Refresh, Side::Theirs),
    (Kind::AgentRefresh, Side::Ours),
    (Kind::Introspect, Side::Ours),
    (Kind::Hello, Side::Ours),
    (Kind::Hello, Side::Bare),
];
const WARM_UP: Duration = Duration::from_millis(500);

fn main() {
    if std::env::args().nth(1).as_deref() == Some(servers::BARE) {
        return tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(bare::serve());
    }
    let argument = |at: usize, usual: u64| std::env::args().nth(at).map_or(usual, |text| text.parse().expect("a number"));
    let (rounds, window) = (argument(1, 5), Duration::from_millis(argument(2, 4_000)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async move {
        let mut servers = Servers::start(CONNECTIONS).await;
        yield_to_servers();
        let before = disk::flush_us(&servers.folder());
        let mut all: BTreeMap<String, Vec<Measured>> = BTreeMap::new();
        // one kind of load alone, by its name
        let only = std::env::args().nth(3);
        let turns = TURNS.into_iter().filter(|(kind, _)| only.as_deref().is_none_or(|only| only == kind.name()));
        for round in 1..=rounds {
            for (kind, side) in turns.clone() {
                let measured = servers.load(kind, side, WARM_UP, window).await;
                let name = format!("{}_{}", kind.name(), side.name());
                eprintln!(
                    "round {round} of {rounds}: {name}: {:.0}/s, p99 {} us, {:.0} us of CPU each",
                    measured.rate, measured.p99_us, measured.cpu_us
                );
                all.entry(name).or_default().push(measured);
            }
        }
        let after = disk::flush_us(&servers.folder());
        let cpu = cpu::ratios(&servers.folder()).await;
        println!("{}", summary(rounds, &all, &cpu, before, after));
    });
}

/// An answer on its way would wake this program, and stop the server that is working on the next one: a fifth of the server's time. From now
/// on this program waits until a core is free. Its children were started before, and keep the usual policy. Where other programs want
/// the cores as well it would wait for those, too, so there everything stays as usual.
fn yield_to_servers() {
    let busy = machine::busy_percent(Duration::from_millis(500));
    if busy > machine::QUIET_PERCENT {
        eprintln!("others use {busy} % of the machine: answers interrupt the servers, and ratios say less");
        return;
    }
    let me = std::process::id().to_string();
    let said = std::process::Command::new("chrt").args(["--all-tasks", "--batch", "--pid", "0", &me]).output();
    if !said.is_ok_and(|output| output.status.success()) {
        eprintln!("`chrt` (util-linux) is not here or is not allowed: answers interrupt the servers, and every rate is lower");
    }
}

fn summary(rounds: u64, all: &BTreeMap<String, Vec<Measured>>, cpu: &cpu::Ratios, before: u64, after: u64) -> Value {
    let mut metrics = serde_json::Map::new();
    for (name, measured) in all {
        metrics.insert(format!("{name}_per_s"), json!(median(measured.iter().map(|m| m.rate)).round()));
        metrics.insert(format!("{name}_p50_us"), json!(median(measured.iter().map(|m| m.p50_us as f64))));
        metrics.insert(format!("{name}_p99_us"), json!(median(measured.iter().map(|m| m.p99_us as f64))));
        metrics.insert(format!("{name}_cpu_us"), json!(median(measured.iter().map(|m| m.cpu_us)).round()));
    }
    metrics.insert("connections".to_owned(), json!(CONNECTIONS));
    metrics.insert("fdatasync_us_before".to_owned(), json!(before));
    metrics.insert("fdatasync_us_after".to_owned(), json!(after));
    let ratio = |ours: &str, theirs: &str| {
        let per_round = all.get(ours)?.iter().zip(all.get(theirs)?).map(|(ours, theirs)| ours.rate / theirs.rate);
        Some(hundredths(median(per_round)))
    };
    json!({
        "name": "token",
        "rounds": rounds,
        "metrics": metrics,
        "ratios": {
            "client_credentials_vs_oidc_provider": ratio("client_credentials_ours", "client_credentials_theirs"),
            "refresh_vs_oidc_provider": ratio("refresh_ours", "refresh_theirs"),
            "issue_cpu_vs_signature": hundredths(cpu.issue),
            "verify_cpu_vs_signature": hundredths(cpu.verify),
            "full_middleware_vs_bare_axum": ratio("hello_ours", "hello_bare"),
            "introspect_vs_hello": ratio("introspect_ours", "hello_ours"),
            "agent_refresh_vs_oidc_provider": ratio("agent_refresh_ours", "refresh_theirs"),
        },
    })
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
