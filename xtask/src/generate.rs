//! `cargo xtask gen`: the parts of the documents that are lists, written from what they list.
//!
//! The map of crates in ARCHITECTURE.md (name, what its head says it is, and which rooms it imports), and, when asked
//! for by name, what `guard` learns of names.

pub mod guard;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::crates::{self, Crate};
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::progress;

const MAP: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- generated: crates -->";
const END: &str = "<!-- end of generated: crates -->";

#[derive(Debug, Args)]
pub struct Options {
    /// What to write anew, when it is not the documents
    #[arg(value_enum)]
    what: Option<What>,
    /// The folder of the lists of names, for `guard`
    #[arg(long, value_name = "DIR")]
    lists: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The weights of the detector of names, from lists of names that were reported
    Guard,
}

#[derive(Debug, Args)]
pub struct Evaluation {
    /// What to measure
    #[arg(value_enum)]
    what: What,
    /// The folder of the lists of names: their held-out halves when they are there, otherwise the others
    #[arg(long, value_name = "DIR")]
    lists: Option<PathBuf>,
}

pub fn run(house: &House, options: &Options) -> Outcome<()> {
    match options.what {
        Some(What::Guard) => guard::train(house, options.lists.as_deref()),
        None => documents(house),
    }
}

pub fn evaluate(house: &House, options: &Evaluation) -> Outcome<()> {
    match options.what {
        What::Guard => guard::evaluate(house, options.lists.as_deref()),
    }
}

fn documents(house: &House) -> Outcome<()> {
    let Some((old, new)) = crate_map(house)? else {
        progress::note(&format!("there is no {MAP} yet; nothing to generate"));
        return Ok(());
    };
    if old == new {
        progress::note(&format!("{MAP} is as it should be"));
        return Ok(());
    }
    fs::write(house.root().join(MAP), new).context(|| format!("writing {MAP}"))?;
    progress::note(&format!("{MAP} was written anew"));
    Ok(())
}

/// The generated documents that do not say what they should.
pub fn stale(house: &House) -> Outcome<Vec<&'static str>> {
    Ok(crate_map(house)?.into_iter().filter(|(old, new)| old != new).map(|_| MAP).collect())
}

/// The document as it is and as it should be.
fn crate_map(house: &House) -> Outcome<Option<(String, String)>> {
    if !house.root().join(MAP).is_file() {
        return Ok(None);
    }
    let old = house.text(Path::new(MAP))?.unwrap_or_default();
    let crates = crates::all(house)?;
    let mut rows = Vec::new();
    for one in &crates {
        let head = match crates::head(house, one) {
            Some(file) => house.text(&file)?.unwrap_or_default(),
            None => String::new(),
        };
        rows.push(row(one, &crates, &head));
    }
    let table = format!("| room | what it is | imports |\n|---|---|---|\n{}\n", rows.join("\n"));
    let new = between(&old, &table)?;
    Ok(Some((old, new)))
}

fn row(one: &Crate, crates: &[Crate], head: &str) -> String {
    let imports: Vec<&str> =
        one.imports.iter().filter_map(|name| crates.iter().find(|it| it.name == *name)).map(|it| it.folder.as_str()).collect();
    let imports = if imports.is_empty() { "nothing of ours".to_owned() } else { imports.join(", ") };
    format!("| `{}` | {} | {imports} |", one.folder, first_sentence(head))
}

/// The first paragraph of a `//!` header, up to its first full stop.
fn first_sentence(head: &str) -> String {
    let paragraph: Vec<&str> = head
        .lines()
        .skip_while(|line| !line.starts_with("//!"))
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let text = paragraph.join(" ").replace('|', "\\|");
    text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

fn between(document: &str, generated: &str) -> Outcome<String> {
    let missing = || Failure::new(format!("{MAP} has no place for the map")).advise(format!("add the lines `{BEGIN}` and `{END}`"));
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n{generated}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_the_room_its_first_sentence_and_its_own_imports() {
        let make = |name: &str, folder: &str, imports: &[&str]| Crate {
            name: name.into(),
            folder: folder.into(),
            imports: imports.iter().map(|it| (*it).to_owned()).collect(),
            test_imports: Vec::new(),
        };
        let crates = [make("purser-db", "base/db", &["purser-values", "serde"]), make("purser-values", "base/values", &[])];
        let head = "//! One SQL text\n//! on two engines. And more.\n//!\n//! Details.\n";
        assert_eq!(row(&crates[0], &crates, head), "| `base/db` | One SQL text on two engines | base/values |");
        assert_eq!(row(&crates[1], &crates, ""), "| `base/values` |  | nothing of ours |");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("# map\n{BEGIN}\nold\n{END}\ntail\n");
        assert_eq!(between(&document, "new\n").unwrap(), format!("# map\n{BEGIN}\nnew\n{END}\ntail\n"));
        assert!(between("# map\n", "new\n").unwrap_err().to_string().contains(BEGIN));
    }
}
