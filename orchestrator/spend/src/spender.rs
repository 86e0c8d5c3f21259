//! Whose money it is: an agent in its organisation, and the last look before money moves, beside the permit.

use purser_authority::{Caller, Denied};
use purser_values::id::{AgentId, GrantId, OrganisationId};

/// The agent that spends and the organisation that pays. Rows of one never answer for the other's pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    pub organisation: OrganisationId,
    pub agent: AgentId,
}

/// Refuses persons and agents of another organisation, as if there were nothing.
pub fn same_organisation(caller: &Caller, owner: &OrganisationId) -> Result<(), Denied> {
    match caller.organisation() {
        Some(own) if own != owner => Err(Denied::NotFound),
        _ => Ok(()),
    }
}

/// [`same_organisation`], and an agent acts as itself and under its own grant only.
pub fn allowed(caller: &Caller, spender: &Spender, under: Option<&GrantId>) -> Result<(), Denied> {
    same_organisation(caller, &spender.organisation)?;
    match caller {
        Caller::Agent { agent, grant, .. } if *agent != spender.agent || under.is_some_and(|under| under != grant) => Err(Denied::NotFound),
        _ => Ok(()),
    }
}
