//! `cargo xtask bench`: measurements in release, one per name, ending with one JSON object on stdout.

mod dns;
mod edge;
mod ledger;
mod machine;
mod story;
mod token;

use clap::{Args, ValueEnum};

use self::token::Part;
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
    /// How often to repeat it: 20 stories, 5 rounds of the others
    #[arg(long)]
    runs: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// From acceptance to the first answer on the new domain, and resident memory of both daemons
    Story,
    /// Authorisations a second under 64 callers, beside a stored function of PostgreSQL and the bare disk
    Ledger,
    /// Tokens a second under 16 connections, beside npm `oidc-provider`; introspection; what a token costs beside its signature
    Token,
    /// Answers a second of the name server, beside Knot and NSD
    Dns,
    /// Requests through the edge, beside workerd alone and nginx in front of workerd
    Edge,
    /// The same server's shortest answer, beside one of the bare library
    Http,
}

pub fn run(house: &House, options: &Options) -> Outcome<()> {
    match options.name {
        Name::Story => story::run(house, options.runs.unwrap_or(20).max(1), options.json),
        Name::Ledger => ledger::run(house, options.runs.unwrap_or(5).max(1), options.json),
        Name::Token => token::run(house, Part::All, options.runs.unwrap_or(5).max(1), options.json),
        Name::Dns => dns::run(house, options.runs.unwrap_or(5).max(1), options.json),
        Name::Edge => edge::run(house, options.runs.unwrap_or(5).max(1), options.json),
        Name::Http => token::run(house, Part::Http, options.runs.unwrap_or(5).max(1), options.json),
    }
}
