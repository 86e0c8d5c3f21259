//! Who judges the edge: a certificate authority, load generators, a slow client, testers of TLS, and another proxy. Each is the machine's
//! own program or Debian's package unpacked under `target/`, as one command in one folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::{process, progress};

/// A program: its name, its packages, the file in them, and what it is asked to show that it starts.
struct Peer {
    name: &'static str,
    packages: &'static [&'static str],
    binary: &'static str,
    asked: &'static str,
    /// A variable that names a folder of the packages.
    folder: Option<(&'static str, &'static str)>,
}

const TESTERS: [Peer; 5] = [
    Peer { name: "pebble", packages: &["pebble"], binary: "usr/bin/pebble", asked: "-h", folder: None },
    Peer { name: "h2load", packages: &["nghttp2-client"], binary: "usr/bin/h2load", asked: "--version", folder: None },
    Peer { name: "slowhttptest", packages: &["slowhttptest"], binary: "usr/bin/slowhttptest", asked: "-h", folder: None },
    // with the small programs that the script calls, for machines that have none of them
    Peer {
        name: "testssl",
        packages: &["testssl.sh", "bsdextrautils", "procps", "openssl"],
        binary: "usr/bin/testssl",
        asked: "--version",
        folder: Some(("TESTSSL_INSTALL_DIR", "etc/testssl")),
    },
    Peer { name: "sslscan", packages: &["sslscan"], binary: "usr/bin/sslscan", asked: "--version", folder: None },
];
const RIVALS: [Peer; 2] = [
    Peer { name: "wrk", packages: &["wrk"], binary: "usr/bin/wrk", asked: "-v", folder: None },
    Peer { name: "nginx", packages: &["nginx"], binary: "usr/sbin/nginx", asked: "-v", folder: None },
];

/// A folder with one command for each tester.
pub fn testers(house: &House) -> Outcome<PathBuf> {
    install(house, "edge", &TESTERS)
}

/// A folder with a load generator and the proxy that ours is measured beside.
pub fn rivals(house: &House) -> Outcome<PathBuf> {
    install(house, "edge-bench", &RIVALS)
}

fn install(house: &House, name: &str, peers: &[Peer]) -> Outcome<PathBuf> {
    let folder = house.peers().join(name);
    let bin = folder.join("bin");
    let missing: Vec<&Peer> = peers.iter().filter(|peer| !starts(&bin.join(peer.name), peer.asked)).collect();
    if missing.is_empty() {
        return Ok(bin);
    }
    fs::create_dir_all(&bin).context(|| format!("creating `{}`", bin.display()))?;
    for peer in missing {
        let command = bin.join(peer.name);
        if let Some(own) = process::on_path(peer.name) {
            script(&command, &own, "")?;
        } else if let Some(tool) = debian::missing_tool() {
            return Err(absent(peer, &format!("`{tool}` is not here to fetch Debian's package either")));
        } else {
            progress::step(&format!("unpack Debian's {} under target/ (nothing is installed)", peer.packages[0]), || {
                let unpacked = folder.join(peer.name);
                debian::unpack(&unpacked, peer.packages, peer.binary)?;
                script(&command, &unpacked.join("root").join(peer.binary), &surroundings(peer, &unpacked)?)
            })?;
        }
        if !starts(&command, peer.asked) {
            return Err(absent(peer, "the one that was found does not start"));
        }
    }
    Ok(bin)
}

/// Whether it can be run at all: some of these say how they are used with an exit code of their own.
fn starts(path: &Path, asked: &str) -> bool {
    let mut command = Command::new(path);
    let quiet = command.arg(asked).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    path.is_file() && quiet.status().is_ok_and(|status| status.code().is_some_and(|code| code != 126 && code != 127))
}

fn absent(peer: &Peer, why: &str) -> Failure {
    Failure::new(format!("no `{}` on this machine, and {why}", peer.name))
        .advise(format!("install Debian's package `{}`", peer.packages[0]))
}

/// What an unpacked program is to find: its libraries, its own folder, and after the machine's programs those that came with it.
fn surroundings(peer: &Peer, unpacked: &Path) -> Outcome<String> {
    let libraries =
        std::env::join_paths(debian::libraries(unpacked)).map_err(|e| Failure::new(format!("a folder cannot be on a path: {e}")))?;
    let mut said = String::new();
    if !libraries.is_empty() {
        said = format!("export LD_LIBRARY_PATH='{}'\n", libraries.to_string_lossy());
    }
    if let Some((variable, folder)) = peer.folder {
        let root = unpacked.join("root");
        said += &format!("export {variable}='{}' PATH=\"$PATH:{}\"\n", root.join(folder).display(), root.join("usr/bin").display());
    }
    Ok(said)
}

fn script(command: &Path, program: &Path, surroundings: &str) -> Outcome<()> {
    fs::write(command, format!("#!/bin/sh\n{surroundings}exec '{}' \"$@\"\n", program.display()))
        .context(|| format!("writing `{}`", command.display()))?;
    fs::set_permissions(command, fs::Permissions::from_mode(0o755)).context(|| format!("making `{}` executable", command.display()))
}
