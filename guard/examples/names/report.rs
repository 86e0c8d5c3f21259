//! Shares with what they are worth: Wilson's interval at 95 %.

use std::collections::BTreeMap;

use purser_guard::names::learned::{Model, Thresholds};
use purser_guard::{Context, Names};

use crate::data::{Benign, Lists, Reported};

/// Which detectors fired on one name.
pub struct Fired {
    rules: bool,
    review: bool,
    block: bool,
}

impl Fired {
    pub fn of(rules: bool, margin: i32, thresholds: Thresholds) -> Self {
        Self { rules, review: margin >= thresholds.review, block: margin >= thresholds.block }
    }
}

/// Counts by row of the table.
#[derive(Default)]
pub struct Table {
    counts: BTreeMap<(u8, &'static str), Counts>,
}

#[derive(Default)]
struct Counts {
    of: usize,
    rules: usize,
    learned: usize,
    both: usize,
    block: usize,
    /// How often each name was asked about: the interval is that of the names.
    asked: usize,
}

impl Table {
    pub fn reported(&mut self, row: &Reported, fired: &Fired, asked: usize) {
        let label = match (row.kind, row.is_late()) {
            (purser_guard::Kind::Domain, true) => (0, "reported domains, 2025-06 and later"),
            (purser_guard::Kind::Domain, false) => (3, "reported domains, earlier"),
            (purser_guard::Kind::Project, true) => (2, "reported projects, 2025-06 and later"),
            (purser_guard::Kind::Project, false) => (4, "reported projects, earlier"),
        };
        self.add(label, fired, asked);
        if row.source == "spmedia" {
            self.add((1, "of these, from the other source (spmedia)"), fired, asked);
        }
    }

    pub fn benign(&mut self, row: &Benign, fired: &Fired) {
        let label = match row.group {
            crate::data::Group::Mid => (5, "false alarms: ordinary domains"),
            crate::data::Group::Popular => (6, "false alarms: popular domains"),
            crate::data::Group::Hosts => (7, "false alarms: hosts on platforms"),
            crate::data::Group::Packages => (8, "false alarms: names of packages"),
        };
        self.add(label, fired, 1);
    }

    fn add(&mut self, label: (u8, &'static str), fired: &Fired, asked: usize) {
        let counts = self.counts.entry(label).or_default();
        counts.asked = asked;
        counts.of += 1;
        counts.rules += usize::from(fired.rules);
        counts.learned += usize::from(fired.review);
        counts.both += usize::from(fired.rules || fired.review);
        counts.block += usize::from(fired.block);
    }

    pub fn print(&self) {
        println!("| names | n | rules | learned | both: held or refused | learned: refused |\n|---|---|---|---|---|---|");
        for ((_, label), counts) in &self.counts {
            let cell = |fired: usize| interval(fired, counts.of, counts.asked);
            println!(
                "| {label} | {} | {} | {} | {} | {} |",
                counts.of / counts.asked,
                cell(counts.rules),
                cell(counts.learned),
                cell(counts.both),
                cell(counts.block)
            );
        }
    }
}

/// The detectors as they are shipped.
pub fn shipped(lists: &Lists) {
    let names = Names::default();
    let model = Model::shipped();
    let mut table = Table::default();
    for row in &lists.reported {
        let ruled = !names.judge_by_rules(&row.name, Context::stranger(row.kind)).passes();
        table.reported(row, &Fired::of(ruled, model.margin(&row.name, row.kind), model.thresholds(row.kind)), 1);
    }
    for row in &lists.benign {
        let kind = row.group.kind();
        let ruled = !names.judge_by_rules(&row.name, Context::stranger(kind)).passes();
        table.benign(row, &Fired::of(ruled, model.margin(&row.name, kind), model.thresholds(kind)));
    }
    table.print();
}

/// Which names the rules find and why: what to look at when changing them. Late reported names are left out.
pub fn rules(lists: &Lists) {
    let names = Names::default();
    let early = lists.reported.iter().filter(|row| !row.is_late()).map(|row| ("reported".to_owned(), &row.name, row.kind));
    let benign = lists.benign.iter().map(|row| (format!("{:?}", row.group), &row.name, row.group.kind()));
    for (group, name, kind) in early.chain(benign) {
        let verdict = names.judge_by_rules(name, Context::stranger(kind));
        if !verdict.passes() {
            println!("{group}\t{name}\t{}", verdict.words());
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "some thousands of rows")]
fn interval(fired: usize, of: usize, asked: usize) -> String {
    const Z: f64 = 1.96;
    let (share, n) = (fired as f64 / of as f64, (of / asked) as f64);
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / (1.0 + Z * Z / n);
    format!("{:.2} % ({:.2}–{:.2})", 100.0 * share, 100.0 * (middle - half).max(0.0), 100.0 * (middle + half))
}
