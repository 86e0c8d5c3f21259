//! Approvals: a person's yes bound to the digest of one exact request, good once and not for long.
//!
//! INVARIANT (approval-binds): the canonical text of the request is kept with its digest; what is done later is composed anew
//! from what is true then, and one changed byte is another request. An approval is used in the write that has the effect.
//! INVARIANT (nobody-approves-their-own): an agent never approves, nor does the person who asked; with `second_person`, nor
//! does the person in whose name the agent acts.

mod consume;
mod decide;
mod most;
mod parties;
mod read;
mod request;

pub use consume::{consume, used_for};
pub use decide::approval_decide;
pub use most::{Answer, Every, Most};
pub use parties::{Parties, Party, parties};
pub use read::{Reader, find, list, permit, waiting};
pub use request::{Ask, approval_request};

use purser_authority::Denied;
use purser_crypto::seal::SealError;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, ApprovalId, GrantId, OrganisationId, PersonId};
use purser_values::{Sha256Digest, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::limits::{APPROVAL_REASON_CHARS, APPROVALS_PER_REQUESTER};

/// Where an approval stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ApprovalState {
    Pending,
    /// Good for one use until `expires_at`.
    Approved {
        by: PersonId,
        at: Timestamp,
    },
    Denied {
        by: PersonId,
        at: Timestamp,
    },
    /// Nobody decided, or nobody used it, in time.
    Expired,
    /// The grant under which it was asked for is over, and what was asked or approved with it: the request names that grant.
    Ended {
        how: String,
    },
    Used {
        by: PersonId,
        at: Timestamp,
        /// The id of what it was used for.
        subject: String,
    },
}

impl ApprovalState {
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Expired => "expired",
            Self::Ended { .. } => "ended",
            Self::Used { .. } => "used",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Approval {
    pub id: ApprovalId,
    #[serde(skip)]
    pub organisation: OrganisationId,
    /// The agent that asked; absent when a person did.
    pub agent: Option<AgentId>,
    pub grant: Option<GrantId>,
    /// The person who asked, or in whose name the agent acts.
    pub requester: PersonId,
    pub verb: String,
    /// The canonical text that the digest is of.
    pub request: String,
    pub digest: Sha256Digest,
    /// What a page says beside the request: estimates, not part of what is approved.
    pub facts: Value,
    pub reason: String,
    /// Whether the requester does not count.
    pub second_person: bool,
    /// Whether the price is prose, so that a yes says what it may cost at most.
    pub open_price: bool,
    /// What the person said that it may cost at most.
    pub most: Option<Most>,
    #[serde(flatten)]
    pub state: ApprovalState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("there is no such approval")]
    Unknown,
    #[error("a reason has 1 to {APPROVAL_REASON_CHARS} visible characters")]
    Reason,
    #[error("{APPROVALS_PER_REQUESTER} requests of this agent or person wait already")]
    TooMany,
    #[error("nobody has decided over `{0}` yet")]
    Pending(ApprovalId),
    #[error("`{0}` was denied")]
    Refused(ApprovalId),
    #[error("`{0}` has run out of time")]
    Expired(ApprovalId),
    #[error("`{id}` ended: {how}")]
    Ended { id: ApprovalId, how: String },
    #[error("`{0}` was used before")]
    Used(ApprovalId),
    #[error("`{0}` was decided before")]
    Decided(ApprovalId),
    #[error("`{0}` is for another request")]
    Mismatch(ApprovalId),
    #[error("what the page shows is not what was asked")]
    NotShown,
    #[error("who asks does not approve")]
    OwnRequest,
    #[error("{0}")]
    Most(&'static str),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ApprovalError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Unknown => "approval_unknown",
            Self::Reason => "approval_reason",
            Self::TooMany => "too_many_approvals",
            Self::Pending(_) => "approval_pending",
            Self::Refused(_) => "approval_denied",
            Self::Expired(_) => "approval_expired",
            Self::Ended { .. } => "approval_ended",
            Self::Used(_) => "approval_used",
            Self::Decided(_) => "approval_decided",
            Self::Mismatch(_) => "approval_mismatch",
            Self::NotShown => "approval_not_shown",
            Self::OwnRequest => "approval_own_request",
            Self::Most(_) => "approval_most",
            Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Unknown => Kind::NotFound,
            Self::Reason | Self::Most(_) => Kind::Invalid,
            Self::TooMany => Kind::RateLimited,
            Self::Pending(_) => Kind::NeedsPerson,
            Self::Refused(_) | Self::Mismatch(_) | Self::OwnRequest => Kind::Forbidden,
            Self::Expired(_) | Self::Ended { .. } | Self::Used(_) | Self::Decided(_) | Self::NotShown => Kind::Conflict,
            Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Denied(e) => return e.hint(),
            Self::Unknown => "an approval is seen by the organisation's people and by the agent that asked for it".to_owned(),
            Self::Reason => "say in a sentence why it is needed".to_owned(),
            Self::TooMany => "wait until a person has decided".to_owned(),
            Self::Pending(_) => "ask your person to open the approvals page".to_owned(),
            Self::Refused(_) => "ask the person before you try again".to_owned(),
            Self::Ended { .. } => "ask for a new approval under a grant that is in force".to_owned(),
            Self::Expired(_) | Self::Used(_) => "ask for a new approval".to_owned(),
            Self::Mismatch(_) => "repeat exactly what was approved, or ask for a new approval".to_owned(),
            Self::NotShown | Self::Decided(_) => "load the page again".to_owned(),
            Self::Most(_) => "say the amount it may cost at most, and whether once, every month or every year".to_owned(),
            Self::OwnRequest => "another person of the organisation must decide".to_owned(),
            Self::Seal(_) | Self::Db(_) => return None,
        })
    }
}
