//! `agent_stop` and `agent_start`: refuses everything minted for one agent, and lets the same values work again.
//!
//! The stop is a row about the agent, not a mark on its tokens: a token minted during the stop is refused too, and nothing has
//! to be restored afterwards.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use purser_wire::id::AgentId;

/// How many living credentials the stop concerns.
///
/// # Errors
/// When the store fails.
pub fn agent_stop(tx: &mut Tx<'_>, account: &CloudAccountId, agent: &AgentId, now: Timestamp) -> Result<u64, DbError> {
    let insert = "insert into agent_stop (account, agent, stopped_at) values ($1, $2, $3) on conflict do nothing";
    tx.execute(insert, params![account, agent.as_str(), now])?;
    credentials(tx, account, agent)
}

/// # Errors
/// When the store fails.
pub fn agent_start(tx: &mut Tx<'_>, account: &CloudAccountId, agent: &AgentId) -> Result<u64, DbError> {
    tx.execute("delete from agent_stop where account = $1 and agent = $2", params![account, agent.as_str()])?;
    credentials(tx, account, agent)
}

/// # Errors
/// When the store fails.
pub fn agent_is_stopped(tx: &mut Tx<'_>, account: &CloudAccountId, agent: &AgentId) -> Result<bool, DbError> {
    let select = "select 1 as one from agent_stop where account = $1 and agent = $2";
    Ok(tx.query_opt(select, params![account, agent.as_str()])?.is_some())
}

fn credentials(tx: &mut Tx<'_>, account: &CloudAccountId, agent: &AgentId) -> Result<u64, DbError> {
    let count = "select count(*) as n from api_token where account = $1 and agent = $2 and revoked_at is null";
    let n: i64 = tx.query_one(count, params![account, agent.as_str()])?.get("n")?;
    Ok(u64::try_from(n).unwrap_or(0))
}
