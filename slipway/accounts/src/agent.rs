//! `agent_stop` and `agent_start`: refuses everything minted for one agent, and lets the same values work again.
//!
//! The stop is a row about the agent, not a mark on its tokens: a token minted during the stop is refused too, and nothing has
//! to be restored afterwards. Like a freeze it belongs to the link that it came over, and only that one lifts it.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudLinkId};
use purser_wire::id::AgentId;

use crate::account::freeze::holder;

/// How many living credentials the stop concerns.
///
/// # Errors
/// When the store fails.
pub fn agent_stop(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    by: Option<&CloudLinkId>,
    agent: &AgentId,
    now: Timestamp,
) -> Result<u64, DbError> {
    let insert = "insert into agent_stop (account, agent, link, stopped_at) values ($1, $2, $3, $4) on conflict do nothing";
    tx.execute(insert, params![account, agent.as_str(), holder(by), now])?;
    credentials(tx, account, agent)
}

/// How many living credentials work again: none, while somebody else stops the agent too.
///
/// # Errors
/// When the store fails.
pub fn agent_start(tx: &mut Tx<'_>, account: &CloudAccountId, by: Option<&CloudLinkId>, agent: &AgentId) -> Result<u64, DbError> {
    let delete = "delete from agent_stop where account = $1 and agent = $2 and link in ($3, '')";
    tx.execute(delete, params![account, agent.as_str(), holder(by)])?;
    if agent_is_stopped(tx, account, agent)? { Ok(0) } else { credentials(tx, account, agent) }
}

/// # Errors
/// When the store fails.
pub fn agent_is_stopped(tx: &mut Tx<'_>, account: &CloudAccountId, agent: &AgentId) -> Result<bool, DbError> {
    let select = "select 1 as one from agent_stop where account = $1 and agent = $2 limit 1";
    Ok(tx.query_opt(select, params![account, agent.as_str()])?.is_some())
}

fn credentials(tx: &mut Tx<'_>, account: &CloudAccountId, agent: &AgentId) -> Result<u64, DbError> {
    let count = "select count(*) as n from api_token where account = $1 and agent = $2 and revoked_at is null";
    let n: i64 = tx.query_one(count, params![account, agent.as_str()])?.get("n")?;
    Ok(u64::try_from(n).unwrap_or(0))
}
