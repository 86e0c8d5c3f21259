//! Who asks for an approval, and for whom, by name: an agent's request is the agent's, and not its person's.

use purser_db::{DbError, Tx};
use serde::Serialize;

use super::Approval;
use crate::{agent, person};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// `agent` or `person`.
    pub kind: &'static str,
    pub id: String,
    /// What an agent calls itself, or a person's address; absent for somebody who is gone.
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parties {
    pub requested_by: Party,
    /// The person in whose name it is asked.
    pub for_person: Party,
}

/// # Errors
/// When the store fails.
pub fn parties(tx: &mut Tx<'_>, approval: &Approval) -> Result<Parties, DbError> {
    let member = person::member(tx, &approval.organisation, &approval.requester)?;
    let name = member.map(|member| member.person.email.to_string());
    let for_person = Party { kind: "person", id: approval.requester.to_string(), name };
    let requested_by = match &approval.agent {
        Some(id) => Party { kind: "agent", id: id.to_string(), name: agent::find(tx, id)?.map(|agent| agent.name.to_string()) },
        None => for_person.clone(),
    };
    Ok(Parties { requested_by, for_person })
}
