//! A frozen agent does not spend: holds and charges read this in their own write.

use std::collections::BTreeSet;

use purser_db::{DbError, Row, Statement, Tx, params, values};
use purser_values::Timestamp;
use purser_values::id::{AgentId, HoldId};

/// Freezes or thaws the agent's money, in the write that freezes or thaws the agent. Holds and tokens stay as they are, so
/// that a thaw restores the same values.
///
/// # Errors
/// When the store fails.
pub fn apply(tx: &mut Tx<'_>, agent: &AgentId, frozen: bool, now: Timestamp) -> Result<(), DbError> {
    if frozen {
        tx.execute("insert into spend_freeze (agent, since) values ($1, $2) on conflict (agent) do nothing", params![agent, now]).map(drop)
    } else {
        tx.execute("delete from spend_freeze where agent = $1", params![agent]).map(drop)
    }
}

/// Whether the hold's agent, or one that its grant was derived through, is frozen.
///
/// # Errors
/// When the store fails.
pub(crate) fn is_hold_frozen(tx: &mut Tx<'_>, hold: &HoldId) -> Result<bool, DbError> {
    let select = "select f.agent from spend_hold_share s join spend_freeze f on f.agent = s.agent where s.hold = $1
                  union all select f.agent from spend_hold h join spend_freeze f on f.agent = h.agent where h.id = $1 and h.alone = 1
                  limit 1";
    Ok(tx.query_opt(select, params![hold])?.is_some())
}

/// Asks which of the agents' money is frozen.
pub(crate) fn frozen_statement(agents: &BTreeSet<&AgentId>) -> Statement {
    let select = "select f.agent from {rows:text} join spend_freeze f on f.agent = r.c1";
    Statement::rows(select, agents.iter().map(|agent| values![agent]).collect())
}

/// What [`frozen_statement`] answers.
pub(crate) fn frozen_from(rows: &[Row]) -> Result<BTreeSet<AgentId>, DbError> {
    rows.iter().map(|row| row.parse("agent")).collect()
}
