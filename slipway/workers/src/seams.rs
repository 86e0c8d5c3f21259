//! What the composition puts behind the runtime: the runtime runs code and knows nothing of what others keep or forbid.

use std::path::Path;
use std::sync::Arc;

use purser_db::{DbError, Tx};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::binding::Binding;
use crate::error::WorkersError;
use crate::limits::Allowances;
use crate::name::ScriptName;
use crate::runtime::backend::{Backend, Nothing};
use crate::runtime::egress::Egress;

/// Asked in the very write that stores a version, for each of its bindings that points at something: whether the account has it.
pub type BoundExists = Arc<dyn Fn(&mut Tx<'_>, &CloudAccountId, &Binding) -> Result<(), WorkersError> + Send + Sync>;

/// What an account keeps in other rooms than this one, in bytes. Asked in the write that adds something here.
pub type KeptElsewhere = Arc<dyn Fn(&mut Tx<'_>, &CloudAccountId) -> Result<i64, DbError> + Send + Sync>;

/// What an account may use, by its plan. Read often: answered from memory.
pub type AllowancesOf = Arc<dyn Fn(&CloudAccountId) -> Allowances + Send + Sync>;

/// When the earliest alarm is due that a database of alarms of Durable Objects holds. Asked while no process has it open.
pub type NextAlarm = Arc<dyn Fn(&Path) -> Option<Timestamp> + Send + Sync>;

/// Who may be called otherwise than by visitors: by triggers, queues and alarms. Code that is called so is used, and used up, like any other.
pub trait Events: Send + Sync {
    /// Takes a place for one event of a Worker, given back when the answer is dropped; nothing when the account has used up what it has.
    fn begin(&self, account: &CloudAccountId, script: &ScriptName) -> Option<Box<dyn Send + Sync>>;

    /// Whether an alarm may wake the account's code.
    fn may_wake(&self, account: &CloudAccountId) -> bool;
}

/// Calls whoever is due.
struct Always;

impl Events for Always {
    fn begin(&self, _: &CloudAccountId, _: &ScriptName) -> Option<Box<dyn Send + Sync>> {
        Some(Box::new(()))
    }

    fn may_wake(&self, _: &CloudAccountId) -> bool {
        true
    }
}

/// The seams, each with a default that gives nothing and counts nothing.
#[derive(Clone)]
pub struct Seams {
    pub backend: Arc<dyn Backend>,
    pub bound_exists: BoundExists,
    pub kept_elsewhere: KeptElsewhere,
    pub allowances: AllowancesOf,
    pub next_alarm: NextAlarm,
    pub events: Arc<dyn Events>,
    /// The way out; without one everything outbound is refused.
    pub egress: Option<Arc<dyn Egress>>,
}

impl Default for Seams {
    fn default() -> Self {
        Self {
            backend: Arc::new(Nothing),
            bound_exists: Arc::new(|_, _, binding| Err(not_here(binding))),
            kept_elsewhere: Arc::new(|_, _| Ok(0)),
            allowances: Arc::new(|_| Allowances::default()),
            next_alarm: Arc::new(|_| None),
            events: Arc::new(Always),
            egress: None,
        }
    }
}

/// The refusal of a binding whose kind this host does not have.
#[must_use]
pub fn not_here(binding: &Binding) -> WorkersError {
    WorkersError::Invalid(format!(
        "bindings of type `{}` are not supported on this host (binding `{}`); remove it",
        binding.kind(),
        binding.name()
    ))
}
