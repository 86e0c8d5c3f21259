//! What code did that the operator should see: each is a line in the log under the target `slipway::incident`, and the newest are
//! kept for whoever asks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};

use crate::limits;
use crate::name::ScriptName;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// More processor time in one go than the account has.
    Cpu,
    /// More memory than the account has.
    Memory,
    /// It did not answer, and was not busy either.
    Stuck,
    /// A system call that only an attack asks for.
    SystemCall,
    /// It ended by itself.
    Crash,
    /// It wanted out to where nobody may go.
    Egress,
    /// It asked its bindings for what was never given to it.
    Binding,
    /// What its Durable Objects keep reached what the account may store.
    Storage,
}

impl Kind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Stuck => "stuck",
            Self::SystemCall => "system-call",
            Self::Crash => "crash",
            Self::Egress => "egress",
            Self::Binding => "binding",
            Self::Storage => "storage",
        }
    }

    /// By what a process printed before it ended. V8 and the allocator end themselves when they get no more memory, which looks like any
    /// other crash. Code can print such a line as well, and gains nothing: it is its own end that is named.
    #[must_use]
    pub fn tells_of_memory(text: &str) -> bool {
        let signs = ["out of memory", "allocation failed", "bad_alloc", "cannot allocate memory", "unable to allocate"];
        let text = text.to_lowercase();
        signs.iter().any(|sign| text.contains(sign))
    }

    /// By how a process ended: its keeper passes the number of a fatal signal on as its exit code.
    #[must_use]
    pub fn of_end(status: &str) -> Self {
        let sigsys = 128 + libc::SIGSYS;
        if status.ends_with(&format!(" {sigsys}")) || status.contains("SIGSYS") { Self::SystemCall } else { Self::Crash }
    }
}

/// The same kind of thing by one account's Worker, once or often in a row.
#[derive(Clone, Debug)]
pub struct Incident {
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub account: CloudAccountId,
    /// Which Worker it was, where that is known: the Workers of an account may share a process.
    pub script: Option<ScriptName>,
    pub kind: Kind,
    /// Of the last one. Code may have chosen it, so it is escaped and short.
    pub detail: String,
    pub count: u64,
}

/// The newest incidents.
#[derive(Clone)]
pub struct Incidents {
    env: Env,
    kept: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    /// The newest.
    all: VecDeque<Incident>,
    /// What came since it was last taken over.
    fresh: VecDeque<Incident>,
}

impl Incidents {
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self { env, kept: Arc::default() }
    }

    /// Notes one. Of a flood the first is logged, and then one line each time that its number doubles.
    pub fn note(&self, account: &CloudAccountId, script: Option<&ScriptName>, kind: Kind, detail: &str) {
        let now = self.env.now();
        let detail: String = detail.chars().take(limits::INCIDENT_CHARS).flat_map(char::escape_debug).collect();
        let one = Incident {
            first_at: now,
            last_at: now,
            account: account.clone(),
            script: script.cloned(),
            kind,
            detail: detail.clone(),
            count: 1,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut kept.fresh, one.clone());
        let count = add(&mut kept.all, one);
        drop(kept);
        if count.is_power_of_two() {
            tracing::warn!(target: "slipway::incident", %account, kind = kind.as_str(), count, detail, "a Worker went too far");
        }
    }

    /// All that are kept, the newest last.
    #[must_use]
    pub fn list(&self) -> Vec<Incident> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).all.iter().cloned().collect()
    }

    /// What was noted since this was last called, for whoever keeps it for longer.
    #[must_use]
    pub fn take(&self) -> Vec<Incident> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).fresh).into()
    }
}

/// Adds one, to its like where there is one; how many there are of it.
fn add(to: &mut VecDeque<Incident>, one: Incident) -> u64 {
    if let Some(known) = to.iter_mut().find(|i| i.account == one.account && i.script == one.script && i.kind == one.kind) {
        (known.last_at, known.detail, known.count) = (one.last_at, one.detail, known.count + 1);
        return known.count;
    }
    if to.len() == limits::INCIDENTS {
        to.pop_front();
    }
    to.push_back(one);
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_of_a_forbidden_call_is_told_from_other_ends() {
        assert_eq!(Kind::of_end("exit status: 159"), Kind::SystemCall);
        assert_eq!(Kind::of_end("exit status: 137"), Kind::Crash);
        assert!(Kind::tells_of_memory("#\n# Fatal JavaScript out of memory: Reached heap limit\n#"));
        assert!(!Kind::tells_of_memory("*** Received signal #11: Segmentation fault"));
    }

    #[test]
    fn a_flood_is_one_entry_with_a_number() {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let account = CloudAccountId::mint(&env);
        let incidents = Incidents::new(env);
        for _ in 0..1_000 {
            incidents.note(&account, None, Kind::Egress, "GET http://169.254.169.254\n");
        }
        let kept = incidents.list();
        assert_eq!((kept.len(), kept[0].count), (1, 1_000));
        assert!(kept[0].detail.ends_with("\\n"), "{}", kept[0].detail);
        assert_eq!((incidents.take()[0].count, incidents.take().len(), incidents.list().len()), (1_000, 0, 1), "taken over once");
    }
}
