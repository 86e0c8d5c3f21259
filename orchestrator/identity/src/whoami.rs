//! What a caller may know of itself.

use purser_authority::{Caller, Delegator, GrantScope, Role};
use purser_db::{DbError, Tx};
use purser_values::id::{AgentId, GrantId};
use serde::Serialize;

use crate::agent;
use crate::context::CallContext;
use crate::person::{self, Organisation, Person};

/// The answer of `GET /v1/whoami`.
#[derive(Clone, Debug, Serialize)]
pub struct WhoAmI {
    pub agent: Option<WhoAgent>,
    pub person: Option<Person>,
    pub organisation: Option<Organisation>,
    /// The person's part in the organisation.
    pub role: Option<Role>,
    pub grant: Option<WhoGrant>,
    /// The agents that its grant was derived through, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Delegator>,
    pub frozen: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct WhoAgent {
    pub id: AgentId,
    pub name: String,
    /// The thumbprint of its key.
    pub key: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct WhoGrant {
    pub id: GrantId,
    #[serde(flatten)]
    pub scope: GrantScope,
    pub cap: purser_values::Money,
}

/// # Errors
/// When the store fails.
pub fn whoami(tx: &mut Tx<'_>, context: &CallContext) -> Result<WhoAmI, DbError> {
    let member = match (context.caller.organisation(), context.caller.person()) {
        (Some(organisation), Some(person)) => person::member(tx, organisation, person)?,
        _ => None,
    };
    let agent = match context.caller.agent() {
        Some(id) => agent::find(tx, id)?.map(|a| WhoAgent { id: a.id, name: a.name.to_string(), key: a.jkt }),
        None => None,
    };
    let grant = match (&context.caller, &context.grant) {
        (Caller::Agent { grant, .. }, Some(scope)) => {
            Some(WhoGrant { id: grant.clone(), cap: scope.cap_per_provider_month, scope: scope.clone() })
        }
        _ => None,
    };
    let role = member.as_ref().map(|m| m.role);
    let (person, organisation) = member.map(|m| (m.person, m.organisation)).unzip();
    let through = context.caller.chain().to_vec();
    Ok(WhoAmI { agent, person, organisation, role, grant, through, frozen: context.frozen })
}
