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
        let binaries = Binaries::find()?;
        let folder = tempfile::tempdir().unwrap();
        let system = System::start(&binaries, &folder.path().join("data")).await;
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

    /// Puts the world on another start of the same folder.
    #[must_use]
    pub fn on(self, system: System) -> Self {
        Self { system, folder: self.folder }
    }
}
