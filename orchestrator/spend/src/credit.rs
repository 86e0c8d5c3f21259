//! Credits: what a provider's programme gives an organisation to spend there, before its payment tokens are charged.
//!
//! An agent or a person applies; a person of this installation's operator decides; what they approve is attested to the provider, which
//! gives the credit. What is left of it is the provider's to say; it is kept here as it was last told.
//!
//! INVARIANT (nobody-attests-for-themselves): an agent never decides, nor does anybody who belongs to the organisation that asks.
//! INVARIANT (one-application): an organisation has one application for a programme that is not denied.
//! INVARIANT (cap): a credit makes no cap wider. What a purchase may charge its token is set aside, and nothing else; what a credit did not
//! pay in the end finds room when it is charged, or is refused.

mod apply;
mod balance;
mod decide;
mod line;
mod programme;
mod read;
mod redeem;

use std::str::FromStr;

use purser_authority::Denied;
use purser_crypto::seal::SealError;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, CreditApplicationId, OrganisationId, PersonId};
use purser_values::name::ProviderName;
use purser_values::{Money, Sha256Digest, Timestamp};
use serde::Serialize;

pub use apply::{Application as Asked, apply};
pub use balance::{Balance, Forecast, Payment, Standing, all as balances, left, of as balance, record, stale};
pub use decide::{Decider, decide};
pub(crate) use line::{is_expected, price, prices};
pub use programme::{Programme, keep as programmes_keep, list as programmes};
pub use read::{evidence, find, of_organisation, waiting, waiting_at};
pub use redeem::{Redeemed, redeemed};

use crate::limits::{CREDIT_EVIDENCE_CHARS, CREDIT_REASON_CHARS};

/// The kind of job that redeems what was approved; its payload is `{"application": id}`.
pub const REDEEM_JOB: &str = "credit_redeem";
/// The kind of job that asks a provider what is left; its payload is `{"organisation": id, "provider": name}`.
pub const REFRESH_JOB: &str = "credit_refresh";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// It is redeemed as soon as there is an account.
    Approved,
    Denied,
    Redeemed,
    /// The provider does not give it.
    Refused,
}

/// An application as it stands. What was written for the one who decides is not in it: [`evidence`].
#[derive(Clone, Debug, Serialize)]
pub struct Application {
    pub id: CreditApplicationId,
    #[serde(skip)]
    pub organisation: OrganisationId,
    pub provider: ProviderName,
    pub programme: String,
    /// What the programme gave when it was asked for.
    pub amount: Money,
    pub months: u32,
    pub requester: PersonId,
    pub agent: Option<AgentId>,
    pub evidence_sha256: Sha256Digest,
    pub state: State,
    pub asked_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    #[serde(skip)]
    pub decided_by: Option<PersonId>,
    /// Why it was denied or refused.
    pub reason: Option<String>,
    pub ended_at: Option<Timestamp>,
}

impl State {
    const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Denied, Self::Redeemed, Self::Refused];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Redeemed => "redeemed",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("`{provider}` has no credit programme `{programme}`")]
    ProgrammeUnknown { provider: ProviderName, programme: String },
    #[error("the organisation has applied for it before: `{0}`")]
    AppliedBefore(CreditApplicationId),
    #[error("what shows that you are eligible has 1 to {CREDIT_EVIDENCE_CHARS} visible characters")]
    Evidence,
    #[error("a reason has at most {CREDIT_REASON_CHARS} visible characters, and a no needs one")]
    Reason,
    #[error("there is no such application")]
    Unknown,
    #[error("it was decided before")]
    Decided,
    #[error("only the people whom the operator names decide over applications")]
    NotTheOperator,
    #[error("who belongs to the organisation that asks does not decide")]
    OwnApplication,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for CreditError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::ProgrammeUnknown { .. } => "credit_programme_unknown",
            Self::AppliedBefore(_) => "credit_applied_before",
            Self::Evidence => "credit_evidence",
            Self::Reason => "credit_reason",
            Self::Unknown => "credit_application_unknown",
            Self::Decided => "credit_decided",
            Self::NotTheOperator => "credit_operator_only",
            Self::OwnApplication => "credit_own_application",
            Self::Seal(_) => "internal",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::ProgrammeUnknown { .. } | Self::Unknown => Kind::NotFound,
            Self::Evidence | Self::Reason => Kind::Invalid,
            Self::AppliedBefore(_) | Self::Decided => Kind::Conflict,
            Self::NotTheOperator | Self::OwnApplication => Kind::Forbidden,
            Self::Seal(_) => Kind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Denied(e) => return e.hint(),
            Self::ProgrammeUnknown { .. } => "run `purser credits list` for the programmes that there are".to_owned(),
            Self::AppliedBefore(id) => format!("run `purser credits show {id}` for where it stands"),
            Self::Evidence => "say in some sentences why the organisation is eligible, and where that can be checked".to_owned(),
            Self::Reason => "say in a sentence why".to_owned(),
            Self::Unknown => "run `purser credits list` for what was asked".to_owned(),
            Self::Decided => "load the page again".to_owned(),
            Self::NotTheOperator => "the operator names them in `[credits] approvers`".to_owned(),
            Self::OwnApplication => "somebody else whom the operator names must decide".to_owned(),
            Self::Store(e) => return e.hint(),
            Self::Seal(_) => return None,
        })
    }
}
