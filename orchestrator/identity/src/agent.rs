//! Agents: software with a key of its own that acts for a person.

mod freeze;
mod list;
mod thaw;

pub use freeze::{FreezeError, Frozen, agent_freeze, frozen_for};
pub use list::{AgentGrants, agents_list};
pub use thaw::{ThawError, Thawed, agent_thaw};

use std::fmt;
use std::str::FromStr;

use purser_authority::{Action, Caller, Denied, Facts, Permit, authorise};
use purser_crypto::jose::Jwk;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, AlertId, OrganisationId, PersonId};
use purser_values::limits::AGENT_NAME_CHARS;
use purser_values::{Env, Timestamp};
use serde::Serialize;

use crate::grant::Grant;
use crate::visible::visible;

/// The name that an agent claims for itself. Nobody has verified it. Characters that reorder or hide text are refused, so that
/// a page can show it in quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AgentName(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an agent's name has 1 to {AGENT_NAME_CHARS} visible characters")]
pub struct ParseAgentNameError;

impl FromStr for AgentName {
    type Err = ParseAgentNameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        visible(s, AGENT_NAME_CHARS).map(|name| Self(name.to_owned())).ok_or(ParseAgentNameError)
    }
}

impl AgentName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for AgentName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an agent may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    /// A person stopped it; `dark` also took its sites down.
    Frozen {
        at: Timestamp,
        by: PersonId,
        dark: bool,
        /// Where a budget did it: what it told.
        alert: Option<AlertId>,
    },
}

#[derive(Clone, Debug)]
pub struct Agent {
    pub id: AgentId,
    pub organisation: OrganisationId,
    /// The person who first let it act.
    pub person: PersonId,
    pub name: AgentName,
    /// The thumbprint of its key (RFC 7638), unique in the organisation.
    pub jkt: String,
    /// The agent that let it in; absent for one that a person let act.
    pub parent: Option<AgentId>,
    pub created_at: Timestamp,
    pub standing: Standing,
}

impl Agent {
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        matches!(self.standing, Standing::Frozen { .. })
    }
}

/// One agent by its id.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &AgentId) -> Result<Option<Agent>, DbError> {
    tx.query_opt("select * from agent where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

/// A permit for one action on one agent. An agent of another organisation does not exist.
///
/// # Errors
/// [`Denied`] or a failure of the store, as the caller's error.
pub fn permit<A: Action, E: From<DbError> + From<Denied>>(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &AgentId,
    now: Timestamp,
) -> Result<Permit<A>, E> {
    let agent = find(tx, id)?.ok_or(Denied::NotFound)?;
    let facts = Facts { owner: Some(&agent.organisation), ..Facts::new(now, id.as_str()) };
    Ok(authorise::<A>(caller, &facts)?)
}

/// The agent with this key in the organisation; made when there is none. It keeps the name it was first known by.
pub(crate) fn find_or_create(
    tx: &mut Tx<'_>,
    env: &Env,
    organisation: &OrganisationId,
    person: &PersonId,
    name: &AgentName,
    jwk: &Jwk,
) -> Result<Agent, DbError> {
    let jkt = jwk.thumbprint();
    let insert = "insert into agent (id, organisation, person, jkt, jwk, name, created_at, dark) values ($1, $2, $3, $4, $5, $6, $7, 0)
                  on conflict (organisation, jkt) do nothing";
    let public = serde_json::json!(jwk);
    tx.execute(insert, params![AgentId::mint(env), organisation, person, jkt, public, name.as_str(), env.now()])?;
    read(&tx.query_one("select * from agent where organisation = $1 and jkt = $2", params![organisation, jkt])?)
}

/// The agent with this key, let in by the agent of `parent`: made now, or let in by it before. Nothing when the key is
/// somebody else's, or a person gave its agent a grant of its own.
pub(crate) fn let_in(tx: &mut Tx<'_>, env: &Env, parent: &Grant, name: &AgentName, jwk: &Jwk) -> Result<Option<Agent>, DbError> {
    let known = tx.query_opt("select * from agent where organisation = $1 and jkt = $2", params![parent.organisation, jwk.thumbprint()])?;
    let Some(row) = known else {
        let agent = find_or_create(tx, env, &parent.organisation, &parent.person, name, jwk)?;
        tx.execute("update agent set parent = $2 where id = $1", params![agent.id, parent.agent])?;
        return Ok(Some(Agent { parent: Some(parent.agent.clone()), ..agent }));
    };
    let agent = read(&row)?;
    let direct = "select id from agent_grant where agent = $1 and parent is null limit 1";
    let own = agent.parent.as_ref() == Some(&parent.agent) && tx.query_opt(direct, params![agent.id])?.is_none();
    Ok(own.then_some(agent))
}

pub(crate) fn read(row: &Row) -> Result<Agent, DbError> {
    let standing = match (row.get::<Option<Timestamp>>("frozen_at")?, row.parse_opt::<PersonId>("frozen_by")?) {
        (None, None) => Standing::Active,
        (Some(at), Some(by)) => Standing::Frozen { at, by, dark: row.get("dark")?, alert: row.parse_opt("frozen_for")? },
        _ => return Err(DbError::Corrupt("an agent is half frozen".to_owned())),
    };
    Ok(Agent {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        person: row.parse("person")?,
        name: row.parse("name")?,
        jkt: row.get("jkt")?,
        parent: row.parse_opt("parent")?,
        created_at: row.get("created_at")?,
        standing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_hides_or_reorders_text_is_refused() {
        assert!("Claude \"build bot\" №1".parse::<AgentName>().is_ok());
        for bad in ["", "  ", "a\nb", "pay\u{202e}lap", "in\u{200b}visible", &"x".repeat(81)] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?} was taken");
        }
    }
}
