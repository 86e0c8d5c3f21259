//! Invitations: a role in an organisation, offered to one address.
//!
//! The offer is a link that was mailed to the address. It is taken by whoever is signed in with that address, once, within its time,
//! and only while the one who offered it may still give that role (INVARIANT nobody-raises-themselves: an admin who was removed
//! comes back by no link of their own).

mod accept;
mod create;
mod list;
mod revoke;

pub(crate) use accept::settle;
pub use accept::{invitation_accept, invitation_of};
pub use create::member_invite;
pub use list::{InvitationRow, invitations_list};
pub use revoke::invitation_revoke;

use purser_authority::{Denied, Role};
use purser_crypto::seal::SealError;
use purser_db::{DbError, Row};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{InvitationId, OrganisationId, PersonId};
use purser_values::name::Email;

/// The prefix of the link's token.
pub(crate) const TOKEN: &str = "pur_iv";

/// An offer that can be taken now.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub id: InvitationId,
    pub organisation: OrganisationId,
    pub organisation_name: String,
    pub email: Email,
    pub role: Role,
    pub invited_by: PersonId,
    pub inviter: Email,
    pub expires_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("only an owner offers the role of an owner")]
    OwnerRequired,
    #[error("`{0}` is a member already")]
    AlreadyMember(Email),
    #[error("too many invitations wait or were sent lately")]
    TooMany,
    /// Unknown, used, taken back, run out, or offered by somebody who may no longer offer it.
    #[error("this invitation is not valid")]
    Unknown,
    #[error("this invitation is for another address than the one that is signed in")]
    OtherAddress,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for InvitationError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::OwnerRequired => "owner_required",
            Self::AlreadyMember(_) => "member_already",
            Self::TooMany => "too_many_invitations",
            Self::Unknown => "invitation_unknown",
            Self::OtherAddress => "invitation_for_another",
            Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::OwnerRequired | Self::OtherAddress => Kind::Forbidden,
            Self::AlreadyMember(_) => Kind::Conflict,
            Self::TooMany => Kind::RateLimited,
            Self::Unknown => Kind::NotFound,
            Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::OwnerRequired => Some("ask an owner of the organisation".to_owned()),
            Self::AlreadyMember(_) => Some("change the role of the member instead".to_owned()),
            Self::TooMany => Some("take some back, or wait a day".to_owned()),
            Self::Unknown => Some("ask for a new invitation".to_owned()),
            Self::OtherAddress => Some("sign out, and open the link again".to_owned()),
            Self::Seal(_) | Self::Db(_) => None,
        }
    }
}

const SELECT_OPEN: &str =
    "select i.id as id, i.organisation as organisation, o.name as organisation_name, i.email as email, i.role as role,
        i.invited_by as invited_by, p.email as inviter, i.expires_at as expires_at
    from invitation i join organisation o on o.id = i.organisation join person p on p.id = i.invited_by
    where i.token_hash = $1 and i.accepted_at is null and i.revoked_at is null and i.expires_at > $2 and o.disabled_at is null";

fn read(row: &Row) -> Result<Invitation, DbError> {
    Ok(Invitation {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        organisation_name: row.get("organisation_name")?,
        email: row.parse("email")?,
        role: row.parse("role")?,
        invited_by: row.parse("invited_by")?,
        inviter: row.parse("inviter")?,
        expires_at: row.get("expires_at")?,
    })
}
