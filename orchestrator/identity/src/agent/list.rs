//! The agents of an organisation with their grants.

use std::collections::{BTreeMap, BTreeSet};

use purser_authority::Permit;
use purser_authority::action::AgentRead;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{AgentId, GrantId};

use super::{Agent, AgentName, read};
use crate::grant::{self, Grant, GrantState};
use crate::limits::GRANT_DEPTH;

#[derive(Clone, Debug)]
pub struct AgentGrants {
    pub agent: Agent,
    /// Newest first, ended ones included.
    pub grants: Vec<Grant>,
    /// The agent that let it in.
    pub parent: Option<Above>,
    /// The frozen agent that it is stopped with: the nearest one above, where each of its grants goes through a frozen one.
    pub stopped_with: Option<Above>,
    /// Those of its grants above which one was ended.
    fallen: BTreeSet<GrantId>,
}

/// An agent above another one, as it is told of there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    pub id: AgentId,
    pub name: AgentName,
}

impl AgentGrants {
    /// Whether one of its grants holds: INVARIANT (chain-holds), so with all grants above it.
    #[must_use]
    pub fn holds(&self, grant: &Grant, now: Timestamp) -> bool {
        grant.is_in_force(now) && !self.fallen.contains(&grant.id)
    }
}

/// Every agent of the caller's organisation, newest first.
///
/// # Errors
/// When the store fails.
pub fn agents_list(tx: &mut Tx<'_>, permit: &Permit<AgentRead>) -> Result<Vec<AgentGrants>, DbError> {
    let Some(organisation) = permit.caller().organisation() else { return Ok(Vec::new()) };
    let rows = tx.query("select * from agent where organisation = $1 order by created_at desc, id", params![organisation])?;
    let agents: Vec<Agent> = rows.iter().map(read).collect::<Result<_, _>>()?;
    let grants = grant::of_organisation(tx, organisation)?;
    let family = Family {
        agents: agents.iter().map(|agent| (&agent.id, agent)).collect(),
        grants: grants.iter().map(|grant| (&grant.id, grant)).collect(),
    };
    Ok(agents.iter().map(|agent| family.of(agent, &grants)).collect())
}

/// All agents and grants of an organisation, by their ids.
struct Family<'a> {
    agents: BTreeMap<&'a AgentId, &'a Agent>,
    grants: BTreeMap<&'a GrantId, &'a Grant>,
}

impl Family<'_> {
    fn of(&self, agent: &Agent, all: &[Grant]) -> AgentGrants {
        let grants: Vec<Grant> = all.iter().filter(|grant| grant.agent == agent.id).cloned().collect();
        let ended = |grant: &Grant| grant.state != GrantState::InForce;
        let fallen: BTreeSet<_> = grants.iter().filter(|g| self.above(g).any(ended)).map(|g| g.id.clone()).collect();
        let standing: Vec<&Grant> = grants.iter().filter(|grant| !ended(grant) && !fallen.contains(&grant.id)).collect();
        let frozen_above = |grant: &Grant| self.above(grant).find_map(|up| self.agents.get(&up.agent).filter(|a| a.is_frozen()));
        let stopped = standing.iter().all(|grant| frozen_above(grant).is_some());
        let nearest = standing.first().and_then(|grant| frozen_above(grant)).filter(|_| stopped);
        let stopped_with = nearest.map(|frozen| told(frozen));
        let parent = agent.parent.as_ref().and_then(|id| self.agents.get(id)).map(|parent| told(parent));
        AgentGrants { agent: agent.clone(), grants, parent, stopped_with, fallen }
    }

    /// The grants above one, nearest first.
    fn above(&self, grant: &Grant) -> impl Iterator<Item = &Grant> {
        let up = move |grant: &&Grant| grant.parent.as_ref().and_then(|id| self.grants.get(id)).copied();
        std::iter::successors(grant.parent.as_ref().and_then(|id| self.grants.get(id)).copied(), up).take(GRANT_DEPTH)
    }
}

fn told(agent: &Agent) -> Above {
    Above { id: agent.id.clone(), name: agent.name.clone() }
}
