//! A PostgreSQL server for one run of the tests: found on the machine, or unpacked from Debian's packages without
//! installing anything. It listens on a free port of the loopback address, keeps nothing, and ends with us.

mod find;
mod server;
mod unpack;

use clap::ValueEnum;

use crate::fail::Outcome;
use crate::house::House;
use crate::progress;

pub use server::Server;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// The machine's server, else the unpacked package
    Any,
    /// The unpacked package, even where the machine has a server
    Unpacked,
}

/// A running server for tests; dropping it stops it.
pub fn start(house: &House, source: Source) -> Outcome<Server> {
    start_as(house, source, server::Use::Tests)
}

/// The same for measurements: what it commits is on the disk, and it has memory to work with.
pub fn start_durable(house: &House, source: Source) -> Outcome<Server> {
    start_as(house, source, server::Use::Measurements)
}

fn start_as(house: &House, source: Source, purpose: server::Use) -> Outcome<Server> {
    let machine = if source == Source::Any { find::on_machine() } else { None };
    let programs = match machine {
        Some(programs) => programs,
        None => unpack::programs(house)?,
    };
    progress::step(&format!("start PostgreSQL {}", programs.version), || Server::start(&programs, purpose))
}
