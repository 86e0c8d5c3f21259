//! `grant_revoke`: end a grant before its time. Tokens under it are refused from the commit on, because each call reads it.

use purser_authority::action::GrantRevoke;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::GrantId;

use super::{Grant, GrantState, derived_from, find, read};
use crate::grant::link::LinkError;

#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for RevokeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Link(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Link(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Link(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Revoked {
    pub grant: Grant,
    /// Grants derived from it, which ended with it.
    pub below: Vec<Grant>,
    /// It was revoked before.
    pub already: bool,
}

/// Revokes the grant that the permit is for; `how` is kept with it, such as `agents page` or `mailed link`.
///
/// # Errors
/// When the permit is for no grant, or the store fails.
pub fn grant_revoke(tx: &mut Tx<'_>, now: Timestamp, permit: Permit<GrantRevoke>, how: &str) -> Result<Done<Revoked>, RevokeError> {
    let id: GrantId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let before = find(tx, &id)?.ok_or(Denied::NotFound)?;
    if before.state != GrantState::InForce {
        return Ok(Done::quiet(Revoked { grant: before, below: Vec::new(), already: true }));
    }
    let grant = end(tx, now, &id, how)?;
    let mut below = Vec::new();
    for derived in derived_from(tx, &id)? {
        if derived.state == GrantState::InForce {
            below.push(end(tx, now, &derived.id, "the grant above was revoked")?);
        }
    }
    let ended: Vec<&GrantId> = below.iter().map(|grant| &grant.id).collect();
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .related([grant.agent.as_str()])
        .related(&ended)
        .related(below.iter().map(|grant| &grant.agent))
        .with(serde_json::json!({ "how": how, "derived": ended }));
    Ok(Done::with_event(Revoked { grant, below, already: false }, event))
}

/// Ends one grant with its tokens and its revoke link.
fn end(tx: &mut Tx<'_>, now: Timestamp, id: &GrantId, how: &str) -> Result<Grant, DbError> {
    let update = "update agent_grant set revoked_at = $2, revoked_how = $3 where id = $1 returning *";
    let grant = read(&tx.query_one(update, params![id, now, how])?)?;
    let families = "update token_family set revoked_at = $2, revoked_why = 'grant revoked' where grant_id = $1 and revoked_at is null";
    tx.execute(families, params![id, now])?;
    tx.execute("update revoke_link set used_at = $2 where grant_id = $1 and used_at is null", params![id, now])?;
    Ok(grant)
}
