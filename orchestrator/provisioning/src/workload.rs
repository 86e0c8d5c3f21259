//! `token_issue` for a workload that another issuer vouches for: a grant derived for its key, caps and tokens in one write.

use purser_authority::action::TokenIssue;
use purser_authority::{Caller, Denied, Done, Facts, authorise};
use purser_db::{DbError, Tx};
use purser_identity::Realm;
use purser_identity::grant::{self, Derive, DeriveError};
use purser_identity::token::dpop::{Proof, ProofError};
use purser_identity::token::exchange::{Narrower, NarrowerError, token_issue_derived};
use purser_identity::token::{Renewal, TokenIssueError, Tokens};
use purser_identity::workload::{Statement, StatementError, Trust, find};
use purser_values::error::{Kind, PublicError};

use crate::delegation::{DelegateError, agent_delegate};

#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    #[error("there is no such trust, or it was removed")]
    Unknown,
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    Details(#[from] NarrowerError),
    #[error(transparent)]
    Delegate(#[from] DelegateError),
    #[error(transparent)]
    Issue(#[from] TokenIssueError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for WorkloadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "workload_trust_unknown",
            Self::Statement(e) => e.code(),
            Self::Details(e) => e.code(),
            Self::Delegate(e) => e.code(),
            Self::Issue(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Invalid,
            Self::Statement(e) => e.kind(),
            Self::Details(e) => e.kind(),
            Self::Delegate(e) => e.kind(),
            Self::Issue(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown => Some("ask the person who set it up for its id".to_owned()),
            Self::Statement(e) => e.hint(),
            Self::Details(e) => e.hint(),
            Self::Delegate(e) => e.hint(),
            Self::Issue(e) => e.hint(),
            Self::Proof(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

/// Lets the workload act for some minutes, with the key that it proved.
///
/// # Errors
/// See [`WorkloadError`]; nothing is made then.
pub fn workload_exchange(
    tx: &mut Tx<'_>,
    realm: &Realm,
    trust: &Trust,
    statement: &Statement,
    proof: &Proof,
) -> Result<Done<Tokens>, WorkloadError> {
    proof.consume(tx)?;
    // a trust that was removed since the token was checked counts no more
    let trust = find(tx, &trust.id)?.filter(|found| found.facts == trust.facts).ok_or(WorkloadError::Unknown)?;
    statement.consume(tx)?;
    let now = realm.env.now();
    let above = grant::find(tx, &trust.grant)?.ok_or(DelegateError::from(DeriveError::from(Denied::GrantEnded)))?;
    let caller = grant::chain(tx, &above, now)?.caller(&above);
    let scope = Narrower::read(&trust.facts.details)?.of_for(&above.scope, now, trust.facts.life_s);
    let ask = Derive { key: proof.key().clone(), name: trust.facts.name.clone(), scope };
    let permit = authorise::<TokenIssue>(&Caller::Anonymous, &Facts::new(now, proof.jkt()))
        .map_err(|e| DelegateError::from(DeriveError::from(e)))?;
    let derived = agent_delegate(tx, realm, &caller, &ask)?;
    let grant = derived.value.grant.clone();
    let mut done = derived.map(drop);
    let tokens = done.absorb(token_issue_derived(tx, realm, &permit, &grant, proof.jkt(), Renewal::None)?);
    for event in &mut done.events {
        event.related.extend([trust.id.to_string(), statement.subject.clone()]);
    }
    Ok(done.map(|()| tokens))
}
