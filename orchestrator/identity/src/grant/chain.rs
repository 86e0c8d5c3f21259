//! The grants that a grant was derived through, up to the one that a person gave.
//!
//! INVARIANT (chain-holds): a derived grant holds while every grant above it does, and its agent is frozen while any agent above
//! it is. Nothing is copied downwards: each call reads the chain, so a freeze, a thaw or a revocation above bites with its
//! commit.

use purser_authority::{Caller, Delegator};
use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, GrantId};
use purser_values::{Money, Timestamp};

use super::{Grant, find, read};
use crate::agent;
use crate::limits::GRANT_DEPTH;

/// One agent with the grant that it acts under, and that grant's ceiling over its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub agent: AgentId,
    pub grant: GrantId,
    pub total: Option<Money>,
}

impl Link {
    fn of(grant: &Grant) -> Self {
        Self { agent: grant.agent.clone(), grant: grant.id.clone(), total: grant.scope.total }
    }
}

/// A grant with all above it, as it stands at one moment.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The grant's own link first, the one that a person gave last.
    pub links: Vec<Link>,
    /// Whether every grant in it is in force.
    pub in_force: bool,
    /// Whether any agent in it is frozen.
    pub frozen: bool,
}

impl Chain {
    /// The agents above the grant's own, nearest first.
    #[must_use]
    pub fn delegators(&self) -> Vec<Delegator> {
        self.links.iter().skip(1).map(|link| Delegator { agent: link.agent.clone(), grant: link.grant.clone() }).collect()
    }

    /// The agent under this grant, as a caller.
    #[must_use]
    pub fn caller(&self, grant: &Grant) -> Caller {
        Caller::Agent {
            agent: grant.agent.clone(),
            grant: grant.id.clone(),
            on_behalf_of: grant.person.clone(),
            organisation: grant.organisation.clone(),
            chain: self.delegators(),
        }
    }
}

/// The chain of a grant at `now`.
///
/// # Errors
/// When the store fails, or a grant names a parent that is not there or not the same person's.
pub fn chain(tx: &mut Tx<'_>, grant: &Grant, now: Timestamp) -> Result<Chain, DbError> {
    let mut chain = Chain { links: vec![Link::of(grant)], in_force: grant.is_in_force(now), frozen: is_frozen(tx, &grant.agent)? };
    let mut next = grant.parent.clone();
    while let Some(id) = next {
        let above = find(tx, &id)?.filter(|above| above.organisation == grant.organisation && above.person == grant.person);
        let above =
            above.ok_or_else(|| DbError::Corrupt(format!("`{}` is derived from `{id}`, which is none of its person's", grant.id)))?;
        if chain.links.len() > GRANT_DEPTH {
            return Err(DbError::Corrupt(format!("`{}` is derived through too many grants", grant.id)));
        }
        chain.in_force &= above.is_in_force(now);
        chain.frozen |= is_frozen(tx, &above.agent)?;
        chain.links.push(Link::of(&above));
        next = above.parent;
    }
    Ok(chain)
}

fn is_frozen(tx: &mut Tx<'_>, agent: &AgentId) -> Result<bool, DbError> {
    Ok(agent::find(tx, agent)?.is_none_or(|agent| agent.is_frozen()))
}

/// Every grant derived from this one, directly or not.
///
/// # Errors
/// When the store fails.
pub fn derived_from(tx: &mut Tx<'_>, grant: &GrantId) -> Result<Vec<Grant>, DbError> {
    let select = "with recursive below (id) as (select id from agent_grant where parent = $1
                      union select g.id from agent_grant g join below b on g.parent = b.id)
                  select g.* from agent_grant g join below b on b.id = g.id order by g.accepted_at, g.id";
    tx.query(select, params![grant])?.iter().map(read).collect()
}

/// Every agent that acts, or acted, under a grant derived from one of this agent's.
///
/// # Errors
/// When the store fails.
pub fn agents_below(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Vec<AgentId>, DbError> {
    let select = "with recursive below (id, agent) as (
                      select g.id, g.agent from agent_grant g join agent_grant p on p.id = g.parent where p.agent = $1
                      union select g.id, g.agent from agent_grant g join below b on g.parent = b.id)
                  select distinct agent from below where agent <> $1 order by agent";
    tx.query(select, params![agent])?.iter().map(|row| row.parse("agent")).collect()
}
