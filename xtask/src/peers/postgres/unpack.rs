//! Debian's PostgreSQL, unpacked under `target/` without installing it.

use std::path::Path;

use super::find::{self, Programs, VERSION};
use crate::fail::{Failure, Outcome};
use crate::house::House;
use crate::peers::debian;
use crate::progress;

pub fn programs(house: &House) -> Outcome<Programs> {
    let folder = house.peers().join("postgresql");
    if let Some(programs) = unpacked(&folder) {
        return Ok(programs);
    }
    if let Some(tool) = debian::missing_tool() {
        return Err(missing(&format!("`{tool}` is not here to fetch Debian's package either")));
    }
    progress::step(&format!("unpack Debian's postgresql-{VERSION} under target/ (nothing is installed)"), || {
        debian::unpack(&folder, &[&format!("postgresql-{VERSION}")], &format!("{}/postgres", bin()))
    })?;
    unpacked(&folder).ok_or_else(|| missing("the unpacked server does not start"))
}

fn bin() -> String {
    format!("usr/lib/postgresql/{VERSION}/bin")
}

fn missing(why: &str) -> Failure {
    Failure::new(format!("no PostgreSQL {VERSION} or later on this machine, and {why}")).advise(format!(
        "install PostgreSQL {VERSION} so that `initdb` and `postgres` are on PATH, or set PURSER_TEST_PG_URL to a database that the tests may fill"
    ))
}

fn unpacked(folder: &Path) -> Option<Programs> {
    find::at(folder.join("root").join(bin()), debian::libraries(folder))
}
