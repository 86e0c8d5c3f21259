//! Name servers, resolvers and judges of zones that others wrote, as Debian has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::fail::{Failure, Outcome};
use crate::house::House;
use crate::progress;

/// Where each group of packages goes, and a program of it that shows that it is there.
const GROUPS: [(&str, &[&str], &str); 6] = [
    ("knot", &["knot", "knot-dnsutils"], "usr/sbin/knotd"),
    ("nsd", &["nsd"], "usr/sbin/nsd"),
    ("ldns", &["ldnsutils"], "usr/bin/ldns-verify-zone"),
    ("unbound", &["unbound"], "usr/sbin/unbound"),
    ("dnsperf", &["dnsperf"], "usr/bin/dnsperf"),
    ("bind", &["bind9-dnsutils"], "usr/bin/delv"),
];

/// The folder with one folder for each group: `NAME/root` and, where the machine lacked some, `NAME/libraries`.
pub fn install(house: &House) -> Outcome<PathBuf> {
    let folder = house.peers().join("dns");
    for (name, packages, binary) in GROUPS {
        let group = folder.join(name);
        // The fetched archives go last.
        if group.join("root").join(binary).is_file() && !group.join("packages").exists() {
            continue;
        }
        if let Some(tool) = debian::missing_tool() {
            return Err(
                Failure::new(format!("`{tool}` is not here to fetch Debian's `{name}`")).advise("install it, or run this on Debian")
            );
        }
        progress::step(&format!("unpack Debian's {name} under target/ (nothing is installed)"), || {
            debian::unpack(&group, packages, binary)
        })?;
    }
    let zonemaster = folder.join("zonemaster");
    if !zonemaster.join("root/usr/bin/zonemaster-cli").is_file() || zonemaster.join("packages").exists() {
        progress::step("unpack Debian's zonemaster-cli under target/ (nothing is installed)", || {
            debian::unpack_with_all(&zonemaster, &["zonemaster-cli"])
        })?;
    }
    Ok(folder)
}

/// One of the programs, with its libraries, run by `before` (such as `taskset -c 0`).
pub fn program(folder: &Path, group: &str, binary: &str, before: &[&str]) -> Command {
    let path = folder.join(group).join("root").join(binary);
    let mut command = match before {
        [] => Command::new(&path),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&path);
            command
        }
    };
    debian::with_libraries(&mut command, &debian::libraries(&folder.join(group)));
    command
}
