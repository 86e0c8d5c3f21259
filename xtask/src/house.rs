//! Where the repository is, and the few folders under `target/` that the front door writes to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fail::{Context, Failure, Outcome};
use crate::process;

#[derive(Debug, Clone)]
pub struct House {
    root: PathBuf,
    target: PathBuf,
}

impl House {
    /// The workspace that this command was started in.
    pub fn find() -> Outcome<Self> {
        let start = std::env::current_dir().context(|| "reading the current folder".to_owned())?;
        let root = start
            .ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file() && folder.join("Cargo.lock").is_file())
            .ok_or_else(|| {
                Failure::new(format!("`{}` is not inside the repository", start.display()))
                    .advise("change into the repository and try again")
            })?
            .to_path_buf();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root, target })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where fetched peers are unpacked.
    pub fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// A built binary of ours.
    pub fn binary(&self, profile: Profile, name: &str) -> PathBuf {
        self.target.join(profile.folder()).join(name)
    }

    /// Every file that git tracks or would track, as paths relative to the root.
    pub fn files(&self) -> Outcome<Vec<PathBuf>> {
        let listed = process::capture(
            Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(&self.root),
            "listing the files of the repository",
        )?;
        let mut files: Vec<PathBuf> = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        files.retain(|file| self.root.join(file).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The text of a file of the repository; `None` when it is not text.
    pub fn text(&self, file: &Path) -> Outcome<Option<String>> {
        let bytes = fs::read(self.root.join(file)).context(|| format!("reading `{}`", file.display()))?;
        Ok(String::from_utf8(bytes).ok())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Development,
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Development => "debug",
            Self::Release => "release",
        }
    }
}
