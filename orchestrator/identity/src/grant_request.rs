//! An agent's request for a grant, or a terminal's for a person's short token, which waits for a person (RFC 8628).

mod asked;
mod decide;
mod find;
mod start;
mod user_code;

pub use asked::{AskedScope, Change};
pub use decide::{Accept, DecideError, Decided, Decision, device_decision};
pub(crate) use find::read;
pub use find::{by_id, by_user_code};
pub use start::{Ask, StartError, Started, device_authorization_start};
pub(crate) use start::{DEVICE_CODE, authorization_start};
pub use user_code::{ParseUserCodeError, UserCode};

use purser_crypto::jose::Jwk;
use purser_values::Timestamp;
use purser_values::id::{GrantId, GrantRequestId, OrganisationId, PersonId};

use crate::agent::AgentName;

/// Who would act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Software that wants to act for a person.
    Agent(Box<AskedScope>),
    /// A person's own terminal, for a few minutes.
    Person,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Granted {
        grant: GrantId,
    },
    /// A person lets their own terminal in.
    LetIn {
        person: PersonId,
        organisation: OrganisationId,
    },
    Denied,
    Expired,
}

#[derive(Clone, Debug)]
pub struct GrantRequest {
    pub id: GrantRequestId,
    pub user_code: UserCode,
    pub asker: Asker,
    pub name: AgentName,
    pub key: Jwk,
    pub jkt: String,
    /// The address that the request came from.
    pub peer: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub state: State,
}
