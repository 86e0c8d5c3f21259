//! Organisations and their members: who belongs, in which role, and how that changes.
//!
//! INVARIANT (owned): an organisation always has an owner who can sign in.
//! INVARIANT (nobody-raises-themselves): a role grows only by somebody else's hand, and an owner's only by an owner's.

mod create;
mod disable;
mod members;
mod remove;
mod role_set;
mod switch;

pub use create::{OrganisationError, organisation_create, organisation_rename};
pub use disable::{DisableError, organisation_disable, organisation_enable, person_disable, person_enable};
pub use members::{MemberRow, members_list};
pub(crate) use remove::end_membership;
pub use remove::{Removed, member_leave, member_remove};
pub(crate) use role_set::ends_grants;
pub use role_set::{RoleSet, member_role_set};
pub use switch::session_switch;

use std::fmt;
use std::str::FromStr;

use purser_authority::{Caller, Denied, Role};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{OrganisationId, PersonId};

use crate::limits::ORGANISATION_NAME_CHARS;
use crate::person::{self, Member};
use crate::visible::visible;

/// A name that people gave an organisation. It is shown in mails to others, so it hides nothing and holds no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationName(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an organisation's name has 1 to {ORGANISATION_NAME_CHARS} visible characters and no `://`")]
pub struct ParseOrganisationNameError;

impl FromStr for OrganisationName {
    type Err = ParseOrganisationNameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let name = visible(s, ORGANISATION_NAME_CHARS).filter(|name| !name.contains("://"));
        name.map(|name| Self(name.to_owned())).ok_or(ParseOrganisationNameError)
    }
}

impl OrganisationName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganisationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a membership does not change.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("only an owner makes, changes or removes an owner")]
    OwnerRequired,
    #[error("nobody raises their own role")]
    OwnRole,
    #[error("this is the organisation's last owner")]
    LastOwner,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for MemberError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::OwnerRequired => "owner_required",
            Self::OwnRole => "own_role",
            Self::LastOwner => "last_owner",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::OwnerRequired | Self::OwnRole => Kind::Forbidden,
            Self::LastOwner => Kind::Conflict,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::OwnerRequired => Some("ask an owner of the organisation".to_owned()),
            Self::OwnRole => Some("ask another owner or admin".to_owned()),
            Self::LastOwner => Some("make somebody else an owner first".to_owned()),
            Self::Db(_) => None,
        }
    }
}

/// Whether the caller may give this role, or take it away, where they may change roles at all.
pub(crate) fn may_give(caller: &Caller, role: Role) -> bool {
    match caller {
        Caller::Operator | Caller::System => true,
        Caller::Person { role: own, .. } => role != Role::Owner || *own == Role::Owner,
        Caller::Agent { .. } | Caller::Provider { .. } | Caller::Anonymous => false,
    }
}

/// A member of the caller's own organisation. A member of another does not exist.
fn member_of(tx: &mut Tx<'_>, caller: &Caller, person: &PersonId) -> Result<Member, MemberError> {
    let organisation = caller.organisation().ok_or(Denied::NotFound)?;
    Ok(person::member(tx, organisation, person)?.ok_or(Denied::NotFound)?)
}

/// INVARIANT (owned): asked in the write that takes an owner away.
fn keep_an_owner(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<(), MemberError> {
    let select = "select m.person as person from membership m join person p on p.id = m.person
                  where m.organisation = $1 and m.role = 'owner' and p.disabled_at is null limit 1";
    tx.query_opt(select, params![organisation])?.map(drop).ok_or(MemberError::LastOwner)
}
