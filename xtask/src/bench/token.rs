//! The token endpoint beside an independent one; the load generator is a program of its own, `tests/bench/token.rs`.

use serde_json::Value;

use super::machine;
use crate::fail::{Context, Outcome};
use crate::house::{House, Profile};
use crate::{demo, peers, process, progress};

/// What our endpoint must reach of the other one's rate.
const GOALS: [(&str, f64); 2] = [("client_credentials_vs_oidc_provider", 8.0), ("refresh_vs_oidc_provider", 3.0)];

pub fn run(house: &House, rounds: u32, as_json: bool) -> Outcome<()> {
    let parts = demo::build(house)?;
    let (modules, node) = peers::oauth_server(house)?;
    progress::step("build the load generator in release", || {
        let mut command = process::cargo();
        command.args(["build", "--release", "--package", "purser-tests", "--bin", "bench-token"]).current_dir(house.root());
        process::loud(&mut command, "building")
    })?;
    let said = progress::step("ask both for tokens", || {
        let mut command = process::bound(&house.binary(Profile::Release, "bench-token"), "TERM");
        command.arg(rounds.to_string()).env("PURSER_BIN", &parts.purser).env("SLIPWAY_BIN", &parts.slipway);
        command.env("PURSER_WORKERD", &parts.workerd).env("PURSER_NODE", &node).env("PURSER_REFEREES", &modules);
        process::capture(&mut command, "measuring")
    })?;
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
    for name in ["client_credentials_ours", "client_credentials_theirs", "refresh_ours", "agent_refresh_ours", "refresh_theirs"] {
        let metric = |what: &str| summary["metrics"][format!("{name}_{what}")].as_f64().unwrap_or_default();
        let (rate, p50, p99) = (metric("per_s"), metric("p50_us") / 1_000.0, metric("p99_us") / 1_000.0);
        println!("{rate:>8}/s  p50 {p50:>6.1} ms  p99 {p99:>6.1} ms  {:>5} us of CPU  {name}", metric("cpu_us"));
    }
    for (name, goal) in GOALS {
        println!("{:>8}x   {name} (goal {goal})", summary["ratios"][name]);
    }
}
