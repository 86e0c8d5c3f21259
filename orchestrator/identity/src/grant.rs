//! Grants: the signed record by which a person lets one agent act.

mod chain;
mod consent;
mod derive;
mod link;
mod make;
mod revoke;

pub use chain::{Chain, Link, agents_below, chain, derived_from};
pub use consent::{Consent, ConsentFault, Statement, consent_in_event, record_verify};
pub use derive::{Derive, DeriveError, Derived, agent_delegate};
pub use link::{LinkError, revoke_link_of};
pub use make::{GrantRecord, MakeError, RecordParent};
pub(crate) use make::{Origin, make};
pub use revoke::{RevokeError, Revoked, grant_revoke};

use purser_authority::{Action, Caller, Denied, Facts, GrantScope, Permit, authorise};
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId};
use purser_values::{Sha256Digest, Timestamp};

use crate::consent::TermsSeen;

/// Whether a grant still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// Until `scope.expires_at`.
    InForce,
    Revoked {
        at: Timestamp,
        how: String,
    },
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: GrantId,
    pub organisation: OrganisationId,
    pub person: PersonId,
    pub agent: AgentId,
    /// The grant that it was derived from; absent for one that a person gave.
    pub parent: Option<GrantId>,
    pub scope: GrantScope,
    pub terms: Vec<TermsSeen>,
    /// The record as a compact JWS of the orchestrator.
    pub record: String,
    pub record_digest: Sha256Digest,
    pub accepted_at: Timestamp,
    pub state: GrantState,
}

impl Grant {
    /// Whether it is in force by itself; for a derived one, [`chain`] tells whether those above it are too.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.state == GrantState::InForce && now < self.scope.expires_at
    }
}

/// One grant by its id.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &GrantId) -> Result<Option<Grant>, DbError> {
    tx.query_opt("select * from agent_grant where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

/// An agent's grants, newest first.
///
/// # Errors
/// When the store fails.
pub fn of_agent(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Vec<Grant>, DbError> {
    let select = "select * from agent_grant where agent = $1 order by accepted_at desc, id";
    tx.query(select, params![agent])?.iter().map(read).collect()
}

/// Grants that have run out and were not told of before, the oldest first; each is told of once.
///
/// # Errors
/// When the store fails.
pub fn run_out(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<Grant>, DbError> {
    let update = "update agent_grant set run_out_at = $1 where id in (select id from agent_grant
                  where run_out_at is null and revoked_at is null and expires_at <= $1 order by expires_at limit $2) returning *";
    tx.query(update, params![now, limit])?.iter().map(read).collect()
}

/// The grants that a person gave in an organisation, newest first, ended ones included.
///
/// # Errors
/// When the store fails.
pub fn of_person(tx: &mut Tx<'_>, organisation: &OrganisationId, person: &PersonId) -> Result<Vec<Grant>, DbError> {
    let select = "select * from agent_grant where organisation = $1 and person = $2 order by accepted_at desc, id";
    tx.query(select, params![organisation, person])?.iter().map(read).collect()
}

/// All grants of an organisation, newest first, ended ones included.
///
/// # Errors
/// When the store fails.
pub fn of_organisation(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Grant>, DbError> {
    let select = "select * from agent_grant where organisation = $1 order by accepted_at desc, id";
    tx.query(select, params![organisation])?.iter().map(read).collect()
}

/// A permit for one action on one grant. A grant of another organisation does not exist.
///
/// # Errors
/// [`Denied`] or a failure of the store, as the caller's error.
pub fn permit<A: Action, E: From<DbError> + From<Denied>>(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &GrantId,
    now: Timestamp,
) -> Result<Permit<A>, E> {
    let grant = find(tx, id)?.ok_or(Denied::NotFound)?;
    let facts = Facts { owner: Some(&grant.organisation), ..Facts::new(now, id.as_str()) };
    Ok(authorise::<A>(caller, &facts)?)
}

pub(crate) fn read(row: &Row) -> Result<Grant, DbError> {
    let state = match (row.get::<Option<Timestamp>>("revoked_at")?, row.get::<Option<String>>("revoked_how")?) {
        (None, None) => GrantState::InForce,
        (Some(at), Some(how)) => GrantState::Revoked { at, how },
        _ => return Err(DbError::Corrupt("a grant is half revoked".to_owned())),
    };
    Ok(Grant {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        person: row.parse("person")?,
        agent: row.parse("agent")?,
        parent: row.parse_opt("parent")?,
        scope: row.json("scope")?,
        terms: row.json("terms")?,
        record: row.get("record")?,
        record_digest: row.get("record_digest")?,
        accepted_at: row.get("accepted_at")?,
        state,
    })
}
