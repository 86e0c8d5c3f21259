//! The story, told again and again by new agents on new domains to one running system.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::machine;
use crate::demo::story::{Step, Story, Told, Who};
use crate::demo::system::System;
use crate::demo::{self};
use crate::fail::Outcome;
use crate::house::House;
use crate::progress;
use crate::temporary::{self, Temporary};

const FOLDER_PREFIX: &str = "purser-bench-";
const GOAL_MS: u64 = 500;
const GOAL_MEMORY_KIB: u64 = 80 * 1024;

pub fn run(house: &House, runs: u32, as_json: bool) -> Outcome<()> {
    let parts = demo::build(house)?;
    temporary::sweep(FOLDER_PREFIX);
    let data = Temporary::create(FOLDER_PREFIX)?;
    let system = progress::step("the system starts", || System::start(&parts, data.path()))?;
    let mut told = Vec::new();
    for number in 1..=runs {
        let home = data.path().join(format!("agent-{number}"));
        let one = Story { purser: &parts.purser, run: &system.run, home: &home, who: Who::Us, quiet: true }.tell()?;
        progress::note(&format!("run {number} of {runs}: {}", progress::duration(one.accept_to_live)));
        told.push(one);
    }
    let mut accept_to_live: Vec<u64> = told.iter().map(ms).collect();
    accept_to_live.sort_unstable();
    let shares = shares(&told);
    let memory = memory(system.run.pid);
    let summary = json!({
        "name": "story",
        "machine": machine::describe(),
        "rounds": runs,
        "metrics": {
            "accept_to_live_ms": percentile(&accept_to_live, 50),
            "accept_to_live_ms_p90": percentile(&accept_to_live, 90),
            "accept_to_live_ms_max": accept_to_live.last(),
            "steps_ms_p50": shares,
            "resident_kib": memory,
        },
        "ratios": {},
    });
    if as_json {
        println!("{summary}");
    } else {
        table(&accept_to_live, &shares, &memory);
    }
    Ok(())
}

fn ms(told: &Told) -> u64 {
    u64::try_from(told.accept_to_live.as_millis()).unwrap_or(u64::MAX)
}

/// The median of each step, in the order of the story.
fn shares(told: &[Told]) -> serde_json::Map<String, Value> {
    let Some(first) = told.first() else { return serde_json::Map::new() };
    let median = |name: &str| {
        let mut all: Vec<u64> =
            told.iter().flat_map(|one| &one.steps).filter(|step: &&Step| step.name == name).map(|step| step.ms).collect();
        all.sort_unstable();
        percentile(&all, 50)
    };
    first.steps.iter().map(|step| (step.name.to_owned(), json!(median(step.name)))).collect()
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// Resident memory of the two daemons, found among the descendants of `purser up`.
fn memory(up: u32) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for pid in processes() {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let Some(name) = field(&status, "Name:") else { continue };
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if descends(pid, up)
            && command.contains("\0serve\0")
            && let Some(resident) = field(&status, "VmRSS:").and_then(|text| text.split_whitespace().next()?.parse().ok())
        {
            found.insert(name.to_owned(), resident);
        }
    }
    found
}

fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn descends(mut pid: u32, from: u32) -> bool {
    while pid > 1 {
        if pid == from {
            return true;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let Some(parent) = field(&status, "PPid:").and_then(|text| text.parse().ok()) else { return false };
        pid = parent;
    }
    false
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn table(accept_to_live: &[u64], shares: &serde_json::Map<String, Value>, memory: &BTreeMap<String, u64>) {
    println!("{:>8}  step (median)", "ms");
    for (name, ms) in shares {
        println!("{:>8}  {name}", ms.to_string());
    }
    let p50 = percentile(accept_to_live, 50);
    println!("{p50:>8}  from acceptance to the first answer, p50 (goal {GOAL_MS}); p90 {}", percentile(accept_to_live, 90));
    for (name, kib) in memory {
        println!("{:>8}  MiB resident: {name} (goal {})", kib / 1024, GOAL_MEMORY_KIB / 1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[1, 2, 3, 4], 50), 2);
        assert_eq!(percentile(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90), 9);
    }

    #[test]
    fn the_memory_of_a_process_is_read_from_its_status() {
        let status = "Name:\tslipway\nPPid:\t12\nVmRSS:\t   20480 kB\n";
        assert_eq!(field(status, "PPid:"), Some("12"));
        assert_eq!(field(status, "VmRSS:"), Some("20480 kB"));
    }
}
