//! `agent_freeze`: stop one agent.
//!
//! The state is read with every call of the agent, so the freeze bites with the commit. What has to be told to providers and
//! to the ledger is composed where the domains meet.

use purser_authority::action::AgentFreeze;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, AlertId};
use purser_values::{Env, Timestamp};

use super::{Agent, find, read};

#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for FreezeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        if let Self::Denied(e) = self { e.hint() } else { None }
    }
}

/// The agent as it stands now.
#[derive(Clone, Debug)]
pub struct Frozen {
    pub agent: Agent,
    pub frozen_at: Timestamp,
    /// It was frozen before, and stays frozen since then.
    pub already: bool,
}

/// Freezes the agent that the permit is for. Freezing a frozen agent changes nothing, except that `dark` can be added.
///
/// # Errors
/// When the permit is for no agent, or the store fails.
pub fn agent_freeze(tx: &mut Tx<'_>, env: &Env, permit: Permit<AgentFreeze>, dark: bool) -> Result<Done<Frozen>, FreezeError> {
    let id: AgentId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let before = find(tx, &id)?.ok_or(Denied::NotFound)?;
    // What a budget freezes is frozen in the name of whoever let the agent act; the event says that it was the system.
    let by = permit.caller().person().cloned().unwrap_or_else(|| before.person.clone());
    let update = "update agent set frozen_at = coalesce(frozen_at, $2), frozen_by = coalesce(frozen_by, $3),
                  dark = case when $4 = 1 then 1 else dark end where id = $1 returning *";
    let row = tx.query_one(update, params![id, env.now(), by, i64::from(dark)])?;
    let (agent, frozen_at) = (read(&row)?, row.get("frozen_at")?);
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(&before.organisation)
        .related([&agent.jkt])
        .with(serde_json::json!({ "dark": dark, "already": before.is_frozen() }));
    Ok(Done::with_event(Frozen { agent, frozen_at, already: before.is_frozen() }, event))
}

/// Notes for which alert a budget froze the agent, in the write that does.
///
/// # Errors
/// When the store fails.
pub fn frozen_for(tx: &mut Tx<'_>, id: &AgentId, alert: &AlertId) -> Result<(), DbError> {
    tx.execute("update agent set frozen_for = $2 where id = $1 and frozen_at is not null", params![id, alert]).map(drop)
}
