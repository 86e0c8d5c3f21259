//! `cargo xtask check`: what a compiler does not see. Each rule is one file with a bad input that it must catch.

mod arrows;
mod error_pages;
mod links;
mod places;
mod source;
mod third_parties;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::fail::{Failure, Outcome};
use crate::house::House;
use crate::{crates, generate, process, progress};

#[derive(Debug, Args)]
pub struct Options {
    /// Only the rules of the house, without the formatter, the linter and cargo-deny
    #[arg(long)]
    rules_only: bool,
}

/// One thing that breaks a rule, with what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    place: String,
    what: String,
}

impl Finding {
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }

    /// In a file, at a line counted from zero.
    pub fn at(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{}:{}", file.display(), line + 1), what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A text file of the repository.
#[derive(Debug)]
pub struct Document {
    /// Relative to the root.
    pub path: PathBuf,
    pub text: String,
}

impl Document {
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }
}

pub fn run(house: &House, options: &Options) -> Outcome<()> {
    let mut broken = Vec::new();
    if !options.rules_only {
        tool(&mut broken, "formatting", house, &["fmt", "--all", "--check"], "run `cargo fmt --all`");
        let clippy = ["clippy", "--workspace", "--all-targets", "--keep-going", "--quiet", "--", "-D", "warnings"];
        tool(&mut broken, "lints", house, &clippy, "mend what clippy names");
        if process::on_path("cargo-deny").is_some() {
            tool(
                &mut broken,
                "licences and sources (cargo-deny)",
                house,
                &["deny", "check", "licenses", "bans", "sources"],
                "see deny.toml",
            );
            advisories(&mut broken, house);
        } else {
            progress::note("licences and advisories were not checked: `cargo install cargo-deny --locked` brings what checks them");
        }
    }
    let findings = progress::step("the rules of the house", || rules(house))?;
    for finding in &findings {
        eprintln!("        {finding}");
    }
    if !findings.is_empty() {
        broken.push(format!("{} findings against the rules of the house", findings.len()));
    }
    if broken.is_empty() { Ok(()) } else { Err(Failure::new(broken.join("; "))) }
}

fn tool(broken: &mut Vec<String>, name: &str, house: &House, arguments: &[&str], advice: &str) {
    let done = progress::step(name, || process::loud(process::cargo().args(arguments).current_dir(house.root()), name));
    if done.is_err() {
        broken.push(format!("{name}: {advice}"));
    }
}

/// Known vulnerabilities, from a list that is fetched anew: without a way to it nothing is known, and nothing is broken.
fn advisories(broken: &mut Vec<String>, house: &House) {
    let mut command = process::cargo();
    command.args(["deny", "check", "advisories"]).current_dir(house.root());
    let Err(failure) = progress::step("advisories (cargo-deny)", || process::capture(&mut command, "advisories")) else { return };
    if failure.to_string().contains("failed to fetch advisory database") {
        progress::note("the list of advisories cannot be reached from here: known vulnerabilities were not looked for");
    } else {
        broken.push(format!("advisories: {failure}"));
    }
}

fn rules(house: &House) -> Outcome<Vec<Finding>> {
    let crates = crates::all(house)?;
    let documents = documents(house)?;
    let mut findings = arrows::check(&crates);
    findings.extend(third_parties::check(&crates));
    findings.extend(source::check(&documents));
    findings.extend(places::check(&documents));
    findings.extend(links::check(house.root(), &documents));
    findings.extend(error_pages::check(&documents));
    findings.extend(generate::stale(house)?.into_iter().map(|file| Finding::new(file, "is stale; run `cargo xtask gen`")));
    Ok(findings)
}

fn documents(house: &House) -> Outcome<Vec<Document>> {
    let mut documents = Vec::new();
    for path in house.files()? {
        if let Some(text) = house.text(&path)? {
            documents.push(Document { path, text });
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod testing {
    use super::*;

    pub fn document(path: &str, text: &str) -> Document {
        Document { path: path.into(), text: text.to_owned() }
    }

    /// What was found, as a person reads it.
    pub fn said(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }
}
