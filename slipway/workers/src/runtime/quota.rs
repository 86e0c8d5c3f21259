//! How large the files of Durable Objects may become: workerd writes them itself, so it is the kernel that refuses.
//!
//! The bound is the process's RLIMIT_FSIZE, which can be moved while it runs (prlimit(2)). A write beyond it fails as a failing disk does:
//! code sees `SQLITE_IOERR_WRITE`, its object is begun anew, and what is kept can be read. The signal that comes with it (SIGXFSZ) is blocked in
//! the jail. workerd itself knows no bound on what objects keep, and takes no read-only storage.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use purser_values::id::CloudAccountId;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::limits;

/// The largest file of each account whose bound is not the usual one, in bytes.
#[derive(Clone, Default)]
pub struct Quota(Arc<RwLock<HashMap<CloudAccountId, u64>>>);

/// What holds one process.
#[derive(Default)]
pub struct Held(Option<u64>);

/// What a look changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From here on it is full.
    Full,
    Other,
}

impl Quota {
    pub fn set(&self, most: HashMap<CloudAccountId, u64>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = most;
    }

    fn most(&self, account: &CloudAccountId) -> u64 {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(account).copied().unwrap_or(limits::OBJECT_FILE).min(limits::OBJECT_FILE)
    }
}

impl Held {
    /// Brings a process, told by its keeper, to what holds for its account now.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn follow(&mut self, quota: &Quota, account: &CloudAccountId, keeper: u32) -> io::Result<Option<Step>> {
        let most = quota.most(account);
        let before = self.0.unwrap_or(limits::OBJECT_FILE);
        if most == before {
            return Ok(None);
        }
        let Some(inmate) = inmate(keeper) else { return Ok(None) };
        // The hard limit stays: not everybody can raise it again.
        prlimit(Some(inmate), Resource::Fsize, Rlimit { current: Some(most), maximum: Some(limits::OBJECT_FILE) })?;
        self.0 = Some(most);
        let full = |most| most <= limits::OBJECT_FILE_FULL;
        Ok(Some(if full(most) && !full(before) { Step::Full } else { Step::Other }))
    }
}

/// The process in the jail: its keeper's only child.
fn inmate(keeper: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}
