//! The revoke link of the mail that tells of a grant: it can do this one thing, for this one grant.

use purser_authority::{Caller, Denied};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::GrantId;

use super::{Grant, find};
use crate::agent::{self, Agent};
use crate::person;

pub(super) const REVOKE_LINK: &str = "pur_rl";

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("this link is not valid")]
    Unknown,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for LinkError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "revoke_link_unknown",
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        matches!(self, Self::Unknown).then(|| "sign in and revoke the grant on the agents page".to_owned())
    }
}

/// The grant that a link is for, its agent, and the person in whose name the link acts.
///
/// # Errors
/// [`LinkError::Unknown`] when the link is none of ours or the person has left the organisation.
pub fn revoke_link_of(tx: &mut Tx<'_>, link: &str) -> Result<(Caller, Grant, Agent), LinkError> {
    if !token::is_well_formed(link, REVOKE_LINK) {
        return Err(LinkError::Unknown);
    }
    let row = tx.query_opt("select grant_id from revoke_link where token_hash = $1", params![token::hash(link)])?;
    let id: GrantId = row.ok_or(LinkError::Unknown)?.parse("grant_id")?;
    let grant = find(tx, &id)?.ok_or(LinkError::Unknown)?;
    let agent = agent::find(tx, &grant.agent)?.ok_or(LinkError::Unknown)?;
    let member = person::member(tx, &grant.organisation, &grant.person)?.ok_or(LinkError::Unknown)?;
    let caller =
        Caller::Person { person: grant.person.clone(), organisation: grant.organisation.clone(), role: member.role, present_at: None };
    Ok((caller, grant, agent))
}
