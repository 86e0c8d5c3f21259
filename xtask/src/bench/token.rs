//! The token endpoint beside an independent one; the load generator is a program of its own, `tests/bench/token.rs`.

use serde_json::Value;

use super::machine;
use crate::fail::{Context, Outcome};
use crate::house::{House, Profile};
use crate::{demo, peers, process, progress};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    All,
    Http,
}

/// What must be reached, and whether more is better.
const GOALS: [(&str, f64, bool); 6] = [
    ("client_credentials_vs_oidc_provider", 8.0, true),
    ("refresh_vs_oidc_provider", 3.0, true),
    ("introspect_vs_hello", 0.60, true),
    ("full_middleware_vs_bare_axum", 0.70, true),
    ("issue_cpu_vs_signature", 1.25, false),
    ("verify_cpu_vs_signature", 1.20, false),
];
/// How long one of them is asked at a time, in milliseconds.
const TURN_MS: &str = "4000";

pub fn run(house: &House, part: Part, rounds: u32, as_json: bool) -> Outcome<()> {
    let parts = demo::build(house)?;
    let (modules, node) = peers::oauth_server(house)?;
    progress::step("build the load generator in release", || {
        let mut command = process::cargo();
        command.args(["build", "--release", "--package", "purser-tests", "--bin", "bench-token"]).current_dir(house.root());
        process::loud(&mut command, "building")
    })?;
    let said = progress::step("ask them in turn", || {
        let mut command = process::bound(&house.binary(Profile::Release, "bench-token"), "TERM");
        command.args([&rounds.to_string(), TURN_MS]).env("PURSER_BIN", &parts.purser).env("SLIPWAY_BIN", &parts.slipway);
        command.env("PURSER_WORKERD", &parts.workerd).env("PURSER_NODE", &node).env("PURSER_REFEREES", &modules);
        if let Part::Http = part {
            command.arg("hello");
        }
        process::capture(&mut command, "measuring")
    })?;
    let mut summary: Value = serde_json::from_str(said.trim()).context(|| "reading what was measured".to_owned())?;
    summary["machine"] = machine::describe();
    if let Part::Http = part {
        summary["name"] = "http".into();
    }
    if as_json {
        println!("{summary}");
    } else {
        table(&summary);
    }
    Ok(())
}

fn table(summary: &Value) {
    let metrics = summary["metrics"].as_object().into_iter().flat_map(|all| all.keys());
    for name in metrics.filter_map(|key| key.strip_suffix("_per_s")) {
        let metric = |what: &str| summary["metrics"][format!("{name}_{what}")].as_f64().unwrap_or_default();
        let (rate, p50, p99) = (metric("per_s"), metric("p50_us") / 1_000.0, metric("p99_us") / 1_000.0);
        println!("{rate:>8}/s  p50 {p50:>6.1} ms  p99 {p99:>6.1} ms  {:>5} us of CPU  {name}", metric("cpu_us"));
    }
    for (name, goal, more) in GOALS {
        if let Some(reached) = summary["ratios"][name].as_f64() {
            println!("{reached:>8}x   {name} (goal: at {} {goal})", if more { "least" } else { "most" });
        }
    }
}
