//! The table of `docs/wrangler.md`: every command group, run by two unmodified wranglers against one slipway. Each row stands alone.
//!
//! The file is what this test saw: `PURSER_BLESS=1` writes it anew, otherwise a difference fails. `PURSER_ROWS=word` runs the rows
//! that hold the word, and compares nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::cloud::{Cloud, need};
use crate::lane::Lane;
use crate::outcome::{Done, cell, unfit, verdicts};
use crate::rows::{ROWS, Row};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/wrangler.md");
const VERSIONS: [(&str, &str); 2] = [("4.164.0", "PURSER_WRANGLER_NEW"), ("4.86.0", "PURSER_WRANGLER_OLD")];
/// Customers of one version, each with a row under way.
const LANES: usize = 3;

const HEAD: &str = "# What wrangler does here

Unmodified wrangler finds slipway and itself by three variables, and the resource `workers` delivers all of them:

- `CLOUDFLARE_API_BASE_URL`: slipway's `public_api_url` with `client/v4`. Without it wrangler talks to Cloudflare.
- `CLOUDFLARE_API_TOKEN`: the token of this agent for this account. There is no `wrangler login` here.
- `CLOUDFLARE_ACCOUNT_ID`: the account. Without it wrangler asks the token, which knows one.

```
purser add slipway/workers:free         # a plan, if the account has none; or slipway/workers:paid
purser add slipway/workers              # the token, into the vault
purser env                              # the names, without the values
purser run -- npx wrangler deploy       # wrangler, with the values in its environment and nowhere else
```

`purser run` needs a grant with export (`purser login --export`); without it, `purser deploy` uploads what is built. A second `workers` in one
environment has its own name in front: `API_CLOUDFLARE_API_TOKEN`. `WRANGLER_SEND_METRICS=false` keeps wrangler from reporting to its maker.

The tables are written by the test that runs them ([tests/tests/wrangler/table.rs](../tests/tests/wrangler/table.rs)), each row in a project of its own
against the real programs, and the test fails when tables and truth differ. *Works* means that the command did what it says and, where that can be
seen by a visitor, that a visitor saw it. What is refused is refused with the sentence that the table shows.
";

/// What the rows of one version came to, by their place.
type Results = Arc<Mutex<BTreeMap<usize, Done>>>;

#[tokio::test(flavor = "multi_thread")]
async fn the_table_in_the_documents_is_what_both_wranglers_meet() {
    let Some(wranglers) = VERSIONS.iter().map(|(_, variable)| need(variable)).collect::<Option<Vec<PathBuf>>>() else { return };
    let Some(cloud) = Cloud::start().await else { return };
    let filter = std::env::var("PURSER_ROWS").ok();
    let wanted = |row: &Row| filter.as_ref().is_none_or(|word| row.group.contains(word) || row.command.contains(word));
    let chosen: Vec<usize> = (0..ROWS.len()).filter(|at| wanted(&ROWS[*at])).collect();
    let cloud = Arc::new(cloud);
    let results: Vec<Results> = wranglers.iter().map(|_| Results::default()).collect();
    let mut lanes = tokio::task::JoinSet::new();
    for (number, wrangler) in wranglers.iter().enumerate() {
        let queue = Arc::new(Mutex::new(chosen.iter().copied().rev().collect::<Vec<_>>()));
        for lane in 0..LANES.min(chosen.len()) {
            let (cloud, wrangler, queue, results) = (cloud.clone(), wrangler.clone(), queue.clone(), results[number].clone());
            lanes.spawn(async move { work(&cloud, &wrangler, &format!("w{number}-{lane}"), &queue, &results).await });
        }
    }
    while let Some(ended) = lanes.join_next().await {
        ended.unwrap();
    }
    let results: Vec<BTreeMap<usize, Done>> = results.iter().map(|r| r.lock().unwrap().clone()).collect();
    for (at, row) in ROWS.iter().enumerate() {
        for ((version, _), done) in VERSIONS.iter().zip(&results) {
            if let Some(Err(ended)) = done.get(&at) {
                eprintln!("---- {version} {}: {}\n{ended}\n", row.group, row.command);
            }
        }
    }
    if filter.is_none() {
        compare(&document(&results));
    }
}

async fn work(cloud: &Cloud, wrangler: &Path, name: &str, queue: &Mutex<Vec<usize>>, results: &Results) {
    let customer = cloud.customer(name, &format!("{name}.test")).await;
    let home = cloud.folder.path().join(name);
    std::fs::create_dir_all(&home).unwrap();
    let mut lane = Lane { cloud, wrangler, customer, home, name: String::new() };
    loop {
        let Some(at) = queue.lock().unwrap().pop() else { return };
        lane.name = slug(ROWS[at].group, ROWS[at].command);
        let begun = Instant::now();
        let done = (ROWS[at].run)(&lane).await;
        eprintln!("{name} {:>6.1} s  {} {}: {}", begun.elapsed().as_secs_f64(), ROWS[at].group, ROWS[at].command, cell(&done));
        lane.clear().await;
        results.lock().unwrap().insert(at, done);
    }
}

/// A row's name for what it makes, the same in every run.
fn slug(group: &str, command: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = format!("{group} {command}").chars().map(plain).collect();
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join("-").chars().take(40).collect::<String>().trim_end_matches('-').to_owned()
}

fn document(results: &[BTreeMap<usize, Done>]) -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    for (at, row) in ROWS.iter().enumerate() {
        if row.group != group {
            group = row.group;
            let versions: Vec<&str> = VERSIONS.iter().map(|(version, _)| *version).collect();
            write!(text, "\n## {group}\n\n| command | {} |\n|---|---|---|\n", versions.join(" | ")).unwrap();
        }
        let cells: Vec<String> = results.iter().map(|done| cell(&done[&at])).collect();
        writeln!(text, "| {} | {} |", row.command, cells.join(" | ")).unwrap();
    }
    text
}

fn compare(text: &str) {
    let unfit = unfit(text);
    assert!(unfit.is_empty(), "not everything works or is refused with 10021:\n{unfit:#?}");
    if std::env::var_os("PURSER_BLESS").is_some() {
        std::fs::write(FILE, text).unwrap();
        return;
    }
    let there = std::fs::read_to_string(FILE).unwrap_or_default();
    let (old, new) = (verdicts(&there), verdicts(text));
    let gone: Vec<_> = old.iter().filter(|line| !new.contains(line)).collect();
    let come: Vec<_> = new.iter().filter(|line| !old.contains(line)).collect();
    assert!(old == new, "docs/wrangler.md differs from the truth; PURSER_BLESS=1 writes it\n- {gone:#?}\n+ {come:#?}");
}
