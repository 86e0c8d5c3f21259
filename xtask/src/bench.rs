//! `cargo xtask bench`: measurements in release, one per name, ending with one JSON object on stdout.

mod story;

use clap::{Args, ValueEnum};

use crate::fail::Outcome;
use crate::house::House;

#[derive(Debug, Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
    /// End with one JSON object on stdout instead of a table
    #[arg(long)]
    json: bool,
    /// How often to repeat it
    #[arg(long, default_value_t = 20)]
    runs: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// From acceptance to the first answer on the new domain, and resident memory of both daemons
    Story,
}

pub fn run(house: &House, options: &Options) -> Outcome<()> {
    match options.name {
        Name::Story => story::run(house, options.runs.max(1), options.json),
    }
}
