//! `cargo xtask`: the only front door of the repository.
//!
//! It needs nothing but cargo (and npm for the peers that come as npm packages) and depends on a handful of small
//! crates, so that it compiles in seconds. Everything it fetches or starts stays under `target/` and a temporary
//! folder, and everything it starts ends with it.

#![allow(clippy::print_stdout, reason = "a command line tool answers on standard output")]
#![allow(clippy::disallowed_methods, reason = "a driver outside the product reads the real clock")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bench;
mod check;
mod crates;
mod demo;
mod fail;
mod generate;
mod house;
mod peers;
mod process;
mod progress;
mod temporary;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::house::House;

/// The front door of Purser: show it, test it, check it, measure it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and play the whole story: from no account anywhere to a live site on its own domain
    Demo(demo::Options),
    /// Fetch the real peers, start PostgreSQL, and run every test
    Test(test::Options),
    /// Formatting, lints, and the rules of the house: arrows between crates, links, error pages, lock files
    Check(check::Options),
    /// Measure in release; ends with one JSON object on stdout when asked for `--json`
    Bench(bench::Options),
    /// Write the generated parts of the documents anew, or what is learned from lists
    Gen(generate::Options),
    /// Measure what was learned: how many it finds, and how many false alarms
    Eval(generate::Evaluation),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = House::find().and_then(|house| match arguments.command {
        Command::Demo(options) => demo::run(&house, &options),
        Command::Test(options) => test::run(&house, &options),
        Command::Check(options) => check::run(&house, &options),
        Command::Bench(options) => bench::run(&house, &options),
        Command::Gen(options) => generate::run(&house, &options),
        Command::Eval(options) => generate::evaluate(&house, &options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
