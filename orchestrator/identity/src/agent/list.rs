//! The agents of an organisation with their grants.

use purser_authority::Permit;
use purser_authority::action::AgentRead;
use purser_db::{DbError, Tx, params};

use super::{Agent, read};
use crate::grant::{self, Grant};

#[derive(Clone, Debug)]
pub struct AgentGrants {
    pub agent: Agent,
    /// Newest first, ended ones included.
    pub grants: Vec<Grant>,
}

/// Every agent of the caller's organisation, newest first.
///
/// # Errors
/// When the store fails.
pub fn agents_list(tx: &mut Tx<'_>, permit: &Permit<AgentRead>) -> Result<Vec<AgentGrants>, DbError> {
    let Some(organisation) = permit.caller().organisation() else { return Ok(Vec::new()) };
    let rows = tx.query("select * from agent where organisation = $1 order by created_at desc, id", params![organisation])?;
    let mut grants = grant::of_organisation(tx, organisation)?;
    rows.iter()
        .map(|row| {
            let agent = read(row)?;
            let (own, rest) = grants.drain(..).partition(|g: &Grant| g.agent == agent.id);
            grants = rest;
            Ok(AgentGrants { agent, grants: own })
        })
        .collect()
}
