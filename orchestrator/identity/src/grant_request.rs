//! An agent's request for a grant, or a terminal's for a person's short token, which waits for a person (RFC 8628).

mod decide;
mod find;
mod start;
mod user_code;

pub use decide::{Accept, DecideError, Decided, Decision, device_decision};
pub(crate) use find::read;
pub use find::{by_id, by_user_code};
pub use start::{Ask, StartError, Started, device_authorization_start};
pub(crate) use start::{DEVICE_CODE, authorization_start};
pub use user_code::{ParseUserCodeError, UserCode};

use purser_authority::GrantScope;
use purser_crypto::jose::Jwk;
use purser_values::id::{GrantId, GrantRequestId, OrganisationId, PersonId};
use purser_values::name::{ProjectName, ProviderName};
use purser_values::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::AgentName;

/// What an agent asks for. Nothing is implied by an empty list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedScope {
    pub projects: Vec<ProjectName>,
    pub providers: Vec<ProviderName>,
    /// Per provider and calendar month; the person may write another.
    pub cap: Money,
    pub export: bool,
    pub irreversible: bool,
    /// Seconds from the acceptance to the end of the grant.
    pub life_s: i64,
}

impl AskedScope {
    /// The actions that a grant of this scope lists: all that agents can be granted, less what the person withholds.
    #[must_use]
    pub fn actions(export: bool) -> Vec<String> {
        let withheld = |name: &&str| export || *name != "credential_export";
        purser_authority::action::grantable().filter(withheld).map(str::to_owned).collect()
    }

    /// The scope if everything asked for is accepted at `now`.
    #[must_use]
    pub fn in_full(&self, now: Timestamp) -> GrantScope {
        GrantScope {
            projects: self.projects.clone(),
            providers: self.providers.clone(),
            actions: Self::actions(self.export),
            cap_per_provider_month: self.cap,
            irreversible: self.irreversible,
            export: self.export,
            expires_at: now.plus_secs(self.life_s),
        }
    }
}

/// Who would act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Software that wants to act for a person.
    Agent(AskedScope),
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
