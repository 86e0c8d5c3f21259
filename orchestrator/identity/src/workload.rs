//! Workloads: software that another issuer vouches for, such as a build that runs for a repository.
//!
//! A person says once which workloads of which issuer may act within which grant ([`Trust`]); each then shows a token of its
//! issuer, and gets a grant of its own, derived from that one, for some minutes and for the key that it proves. So whatever ends or
//! freezes the grant above ends or freezes the workloads, and its ceilings hold for all of them together.
//!
//! A workload names the trust that it means. Otherwise whoever sets up a trust for somebody else's repository could have its builds
//! act for them.

mod add;
mod pattern;
mod remove;
mod statement;

pub use add::{TrustError, workload_trust_add};
pub use pattern::{ParsePatternError, SubjectPattern};
pub use remove::{workload_trust_remove, workload_trusts};
pub use statement::{Statement, StatementError};

use std::collections::BTreeMap;

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{GrantId, OrganisationId, PersonId, WorkloadTrustId};
use serde::{Deserialize, Serialize};

use crate::agent::AgentName;

/// Which workloads, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustFacts {
    /// The name of the agents that act by it.
    pub name: AgentName,
    /// The `iss` of their tokens, word for word: with the slash at its end or without, as the issuer writes it.
    pub issuer: String,
    /// The one `aud` that their tokens must have.
    pub audience: String,
    pub subject: SubjectPattern,
    /// Further claims, each of which must be exactly this text.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// What they may do, as `authorization_details` (RFC 9396).
    pub details: String,
    /// Seconds that a grant of theirs lives.
    pub life_s: i64,
}

#[derive(Clone, Debug)]
pub struct Trust {
    pub id: WorkloadTrustId,
    pub organisation: OrganisationId,
    /// Who set it up.
    pub person: PersonId,
    /// The grant within which they act.
    pub grant: GrantId,
    pub facts: TrustFacts,
    pub created_at: Timestamp,
}

/// A trust that was not removed.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &WorkloadTrustId) -> Result<Option<Trust>, DbError> {
    let select = "select * from workload_trust where id = $1 and removed_at is null";
    tx.query_opt(select, params![id])?.map(|row| read(&row)).transpose()
}

fn read(row: &Row) -> Result<Trust, DbError> {
    Ok(Trust {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        person: row.parse("person")?,
        grant: row.parse("grant_id")?,
        facts: row.json("facts")?,
        created_at: row.get("created_at")?,
    })
}
