//! A fresh system on a folder that goes away, and names that no other test has.

use std::path::PathBuf;

use crate::agent::Agent;
use crate::binaries::Binaries;
use crate::person::Person;
use crate::system::System;

#[derive(Debug)]
pub struct World {
    pub system: System,
    folder: tempfile::TempDir,
}

impl World {
    /// Starts it; nothing, when a program is missing (which was said).
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further words for `purser up`.
    pub async fn start_with(words: &[&str]) -> Option<Self> {
        let binaries = Binaries::find()?;
        let folder = tempfile::tempdir().unwrap();
        let system = System::start_with(&binaries, &folder.path().join("data"), words).await;
        Some(Self { system, folder })
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[must_use]
    pub fn person(&self, name: &str) -> Person {
        Person::new(&self.system, name)
    }

    /// An agent whose home and project have this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Agent {
        Agent::new(&self.system, &self.path(&format!("agent-{name}")), name)
    }

    /// Takes the system out, to end it in another way than by dropping it.
    #[must_use]
    pub fn without_system(self) -> (Empty, System) {
        (Empty(self.folder), self.system)
    }
}

/// A world whose system is gone; its folder is still there.
#[derive(Debug)]
pub struct Empty(tempfile::TempDir);

impl Empty {
    #[must_use]
    pub fn with(self, system: System) -> World {
        World { system, folder: self.0 }
    }
}
