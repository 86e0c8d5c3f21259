//! The server programs of the machine: on the search path, or where Debian and others put them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::debian;
use crate::process;

/// The oldest server that the SQL of the house is written for; where there are several, this one is taken.
pub const VERSION: u32 = 15;

#[derive(Debug, Clone)]
pub struct Programs {
    /// Holds `initdb` and `postgres`.
    pub folder: PathBuf,
    /// Folders with shared libraries that the machine lacks.
    pub libraries: Vec<PathBuf>,
    pub version: u32,
}

/// The best server of the machine.
pub fn on_machine() -> Option<Programs> {
    let mut found: Vec<Programs> =
        folders().into_iter().filter_map(|folder| at(folder, Vec::new())).filter(|it| it.version >= VERSION).collect();
    found.sort_by_key(|programs| programs.version);
    found.into_iter().next()
}

/// The programs in a folder, if both are there and start.
pub fn at(folder: PathBuf, libraries: Vec<PathBuf>) -> Option<Programs> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let mut command = Command::new(folder.join("postgres"));
    command.arg("--version");
    debian::with_libraries(&mut command, &libraries);
    let version = major(&process::capture(&mut command, "asking PostgreSQL for its version").ok()?)?;
    Some(Programs { folder, libraries, version })
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["initdb", "postgres"]
        .into_iter()
        .filter_map(process::on_path)
        .filter_map(|file| fs::canonicalize(file).ok()?.parent().map(Path::to_path_buf))
        .collect();
    for parent in ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        folders.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    folders
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn major(said: &str) -> Option<u32> {
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_the_server_says() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major("postgres"), None);
    }
}
