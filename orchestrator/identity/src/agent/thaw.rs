//! `agent_thaw`: let a frozen agent act again, with the values that it had.

use purser_authority::action::AgentThaw;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::AgentId;

use super::{Agent, find, read};

#[derive(Debug, thiserror::Error)]
pub enum ThawError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ThawError {
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

#[derive(Clone, Debug)]
pub struct Thawed {
    pub agent: Agent,
    /// It was not frozen.
    pub already: bool,
}

/// Thaws the agent that the permit is for. Only persons can hold this permit.
///
/// # Errors
/// When the permit is for no agent, or the store fails.
pub fn agent_thaw(tx: &mut Tx<'_>, permit: Permit<AgentThaw>) -> Result<Done<Thawed>, ThawError> {
    let id: AgentId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let before = find(tx, &id)?.ok_or(Denied::NotFound)?;
    let update = "update agent set frozen_at = null, frozen_by = null, frozen_for = null, dark = 0 where id = $1 returning *";
    let agent = read(&tx.query_one(update, params![id])?)?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([&agent.jkt]);
    Ok(Done::with_event(Thawed { agent, already: !before.is_frozen() }, event))
}
