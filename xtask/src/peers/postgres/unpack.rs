//! Debian's PostgreSQL, unpacked under `target/` without installing it.
//!
//! apt downloads and checks the packages as it would for an install; `dpkg-deb -x` only unpacks them. Libraries are
//! brought along when the loader says that the machine lacks one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::find::{self, Programs, VERSION};
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::{process, progress};

/// Libraries that are never unpacked: they belong to the running system, or only serve parts that are switched off.
const NOT_BROUGHT: [&str; 5] = ["libc6", "libc-bin", "libgcc-s1", "libllvm", "libperl"];

pub fn programs(house: &House) -> Outcome<Programs> {
    let folder = house.peers().join("postgresql");
    if let Some(programs) = unpacked(&folder) {
        return Ok(programs);
    }
    for tool in ["apt-get", "apt-cache", "dpkg-deb", "ldd"] {
        if process::on_path(tool).is_none() {
            return Err(missing(&format!("`{tool}` is not here to fetch Debian's package either")));
        }
    }
    progress::step(&format!("unpack Debian's postgresql-{VERSION} under target/ (nothing is installed)"), || fetch(&folder))?;
    unpacked(&folder).ok_or_else(|| missing("the unpacked server does not start"))
}

fn missing(why: &str) -> Failure {
    Failure::new(format!("no PostgreSQL {VERSION} or later on this machine, and {why}")).advise(format!(
        "install PostgreSQL {VERSION} so that `initdb` and `postgres` are on PATH, or set PURSER_TEST_PG_URL to a database that the tests may fill"
    ))
}

fn unpacked(folder: &Path) -> Option<Programs> {
    let bin = folder.join(format!("root/usr/lib/postgresql/{VERSION}/bin"));
    find::at(bin, libraries(folder))
}

fn libraries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for parent in ["libraries/usr/lib", "libraries/lib"] {
        let Ok(entries) = fs::read_dir(folder.join(parent)) else { continue };
        found.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
        found.push(folder.join(parent));
    }
    found
}

fn fetch(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder.join("packages")).context(|| format!("creating `{}`", folder.display()))?;
    let server = format!("postgresql-{VERSION}");
    download(folder, &[&server])?;
    unpack(folder, &server, "root")?;
    let binary = folder.join(format!("root/usr/lib/postgresql/{VERSION}/bin/postgres"));
    let linked = process::capture(Command::new("ldd").arg(&binary), "asking the loader what the server needs")?;
    if linked.contains("not found") {
        let needed = needed_libraries(&server)?;
        download(folder, &needed.iter().map(String::as_str).collect::<Vec<_>>())?;
        for package in &needed {
            unpack(folder, package, "libraries")?;
        }
    }
    fs::remove_dir_all(folder.join("packages")).context(|| "removing the fetched packages".to_owned())
}

/// Downloads without installing; the package lists of a fresh image are empty or old, so a refusal is followed by a refresh.
fn download(folder: &Path, packages: &[&str]) -> Outcome<()> {
    let attempt = || {
        process::capture(
            Command::new("apt-get").args(["download", "-qq"]).args(packages).current_dir(folder.join("packages")),
            "downloading Debian's packages",
        )
    };
    if attempt().is_ok() {
        return Ok(());
    }
    process::capture(Command::new("apt-get").args(["update", "-qq"]), "refreshing the package lists")
        .map_err(|failure| failure.advise("run `apt-get update` as root, or install PostgreSQL"))?;
    attempt().map(drop)
}

fn unpack(folder: &Path, package: &str, into: &str) -> Outcome<()> {
    let entries = fs::read_dir(folder.join("packages")).context(|| "listing the fetched packages".to_owned())?;
    let archive = entries
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{package}_")))
        .ok_or_else(|| Failure::new(format!("apt fetched no archive of `{package}`")))?;
    process::capture(Command::new("dpkg-deb").arg("-x").arg(archive.path()).arg(folder.join(into)), "unpacking a package").map(drop)
}

/// The library packages among everything that the server depends on.
fn needed_libraries(server: &str) -> Outcome<Vec<String>> {
    let quiet = ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"];
    let said = process::capture(Command::new("apt-cache").args(["depends", "--recurse"]).args(quiet).arg(server), "listing libraries")?;
    Ok(library_packages(&said))
}

fn library_packages(said: &str) -> Vec<String> {
    let mut names: Vec<String> = said
        .lines()
        .filter(|line| line.starts_with("lib"))
        .map(|line| line.trim().split(':').next().unwrap_or_default().to_owned())
        .filter(|name| !name.ends_with("-perl") && !NOT_BROUGHT.iter().any(|not| name.starts_with(not)))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_brought_along_and_never_the_c_library() {
        let said = "postgresql-15\n  Depends: libpq5\n    libssl3\nlibpq5\nlibc6\nlibicu72:amd64\nperl\n<awk>\nlibpq5\nlibllvm14\n";
        assert_eq!(library_packages(said), ["libicu72", "libpq5"]);
    }
}
