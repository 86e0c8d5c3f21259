//! Trains the learned detector of names, and measures both detectors of names. Run by `cargo xtask gen guard` and
//! `cargo xtask eval guard`; not part of the product.
//!
//! INVARIANT (time split): no reported name from 2025-06 or later, and no held-out row, is ever trained on.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a tool for the house")]

mod data;
mod report;
mod train;

use std::path::{Path, PathBuf};

use data::{Half, Lists};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["train", lists, out] => train::run(Path::new(lists), &PathBuf::from(out)),
        ["evaluate", lists] => evaluate(Path::new(lists)),
        ["rules", lists] => report::rules(&Lists::load(Path::new(lists), Half::Develop).expect("the lists to develop with")),
        _ => {
            eprintln!("names train LISTS OUT | names evaluate LISTS | names rules LISTS");
            std::process::exit(2);
        }
    }
}

/// On the held-out halves when they are there, by the shipped detector; otherwise on the halves to develop with, by
/// detectors that did not see the benign names that they are asked about.
fn evaluate(folder: &Path) {
    match Lists::load(folder, Half::HeldOut) {
        Some(lists) => report::shipped(&lists),
        None => train::cross_validate(&Lists::load(folder, Half::Develop).expect("lists to evaluate on")).1.print(),
    }
}
