//! Debian's packages, unpacked under `target/` without installing them.
//!
//! apt downloads and checks the packages as it would for an install; `dpkg-deb -x` only unpacks them. Libraries are
//! brought along when the loader says that the machine lacks one.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fail::{Context, Failure, Outcome};
use crate::process;

/// Libraries that are never unpacked: they belong to the running system, or only serve parts that are switched off.
const NOT_BROUGHT: [&str; 5] = ["libc6", "libc-bin", "libgcc-s1", "libllvm", "libperl"];
const TOOLS: [&str; 4] = ["apt-get", "apt-cache", "dpkg-deb", "ldd"];

/// A tool of Debian's that is not on this machine.
pub fn missing_tool() -> Option<&'static str> {
    TOOLS.into_iter().find(|tool| process::on_path(tool).is_none())
}

/// Where the libraries of an unpacked program are.
pub fn libraries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for parent in ["libraries/usr/lib", "libraries/lib"] {
        let Ok(entries) = fs::read_dir(folder.join(parent)) else { continue };
        found.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
        found.push(folder.join(parent));
    }
    found
}

/// Lets a program find unpacked libraries; the machine's own come first wherever it has them.
pub fn with_libraries(command: &mut Command, libraries: &[PathBuf]) {
    if let Ok(joined) = std::env::join_paths(libraries)
        && !joined.is_empty()
    {
        command.env("LD_LIBRARY_PATH", joined);
    }
}

/// Unpacks `packages` into `folder/root`, and into `folder/libraries` what `binary` (relative to the root) is linked to and
/// the machine lacks.
pub fn unpack(folder: &Path, packages: &[&str], binary: &str) -> Outcome<()> {
    fs::create_dir_all(folder.join("packages")).context(|| format!("creating `{}`", folder.display()))?;
    download(folder, packages)?;
    for package in packages {
        extract(folder, package, "root")?;
    }
    let program = folder.join("root").join(binary);
    let linked = if is_script(&program)? {
        String::new()
    } else {
        process::capture(Command::new("ldd").arg(&program), "asking the loader what the program needs")?
    };
    if linked.contains("not found") {
        let needed = needed_libraries(packages)?;
        download(folder, &needed.iter().map(String::as_str).collect::<Vec<_>>())?;
        for package in &needed {
            extract(folder, package, "libraries")?;
        }
    }
    fs::remove_dir_all(folder.join("packages")).context(|| "removing the fetched packages".to_owned())
}

/// Whether it is a text for an interpreter, which is linked to nothing.
fn is_script(program: &Path) -> Outcome<bool> {
    let mut head = [0_u8; 2];
    let mut file = fs::File::open(program).context(|| format!("opening `{}`", program.display()))?;
    Ok(file.read_exact(&mut head).is_ok() && head == *b"#!")
}

/// Unpacks `packages` with everything that an install would add to this machine: for programs that are many modules.
pub fn unpack_with_all(folder: &Path, packages: &[&str]) -> Outcome<()> {
    fs::create_dir_all(folder.join("packages")).context(|| format!("creating `{}`", folder.display()))?;
    let list = || {
        let mut command = Command::new("apt-get");
        process::capture(command.args(["install", "--simulate", "--no-install-recommends"]).args(packages), "listing what is needed")
    };
    let said = list().or_else(|_| {
        process::capture(Command::new("apt-get").args(["update", "-qq"]), "refreshing the package lists")?;
        list()
    })?;
    let needed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next()).collect();
    download(folder, &needed)?;
    for package in &needed {
        extract(folder, package, "root")?;
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
        .map_err(|failure| failure.advise("run `apt-get update` as root, or install the program itself"))?;
    attempt().map(drop)
}

fn extract(folder: &Path, package: &str, into: &str) -> Outcome<()> {
    let entries = fs::read_dir(folder.join("packages")).context(|| "listing the fetched packages".to_owned())?;
    let archive = entries
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{package}_")))
        .ok_or_else(|| Failure::new(format!("apt fetched no archive of `{package}`")))?;
    process::capture(Command::new("dpkg-deb").arg("-x").arg(archive.path()).arg(folder.join(into)), "unpacking a package").map(drop)
}

/// The library packages among everything that the packages depend on.
fn needed_libraries(packages: &[&str]) -> Outcome<Vec<String>> {
    let quiet = ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"];
    let said = process::capture(Command::new("apt-cache").args(["depends", "--recurse"]).args(quiet).args(packages), "listing libraries")?;
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
