//! Keepers that wait for a Worker: started and put into a group of their own before anybody asks.
//!
//! Starting a program and moving it into control groups takes as long as all the rest of a cold start: the kernel waits for a quiet
//! moment before it moves a process between groups. A spare one has done that. It has been told nothing and waits on its socket; what it
//! becomes is decided when it is taken, so none is ever used twice or by two accounts.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::process::{Child, Command};

use crate::limits;
use crate::runtime::cage::{Bounds, Cage, Cages};
use crate::runtime::process::JailProgram;
use crate::runtime::spawner::Spawner;

/// Where processes come from.
#[derive(Clone)]
pub struct Spares(Arc<Shared>);

struct Shared {
    spawner: Spawner,
    jail: JailProgram,
    cages: Cages,
    waiting: Mutex<Vec<Spare>>,
    filling: AtomicBool,
}

/// A keeper that was told nothing yet.
pub struct Spare {
    pub child: Child,
    /// Our end of its standard input.
    pub near: OwnedFd,
    pub cage: Cage,
}

impl Spares {
    pub fn new(spawner: Spawner, jail: JailProgram, cages: Cages) -> Self {
        Self(Arc::new(Shared { spawner, jail, cages, waiting: Mutex::default(), filling: AtomicBool::new(false) }))
    }

    /// One that waits, or else a new one; held in by `bounds` from here on.
    pub async fn take(&self, bounds: Bounds) -> io::Result<Spare> {
        let spare = match self.waiting() {
            Some(spare) => spare,
            None => self.0.make().await?,
        };
        spare.cage.bound(bounds)?;
        Ok(spare)
    }

    /// Starts others in the background until enough wait. Called when whoever took one is up: they share its processors.
    pub fn refill(&self) {
        if self.0.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.0.clone();
        tokio::spawn(async move {
            while shared.count() < limits::SPARES {
                match shared.make().await {
                    Ok(spare) => shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(spare),
                    Err(e) => {
                        // Whoever needs one tries again, and is told.
                        tracing::warn!(error = %e, "no spare process can be started");
                        break;
                    }
                }
            }
            shared.filling.store(false, Ordering::Release);
        });
    }

    fn waiting(&self) -> Option<Spare> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut spare) = waiting.pop() {
            if matches!(spare.child.try_wait(), Ok(None)) {
                return Some(spare);
            }
        }
        None
    }
}

impl Shared {
    fn count(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn make(&self) -> io::Result<Spare> {
        let cage = self.cages.make(Bounds { memory: limits::JAIL_MEMORY, tasks: limits::JAIL_TASKS })?;
        let (near, far) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new(&self.jail.program);
        command.args(&self.jail.args).env_clear().stdin(Stdio::from(far)).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = self.spawner.spawn(command).await?;
        // The keeper waits for what it is told, so whatever it starts is in the group too.
        cage.enter(child.id().unwrap_or_default())?;
        Ok(Spare { child, near, cage })
    }
}
