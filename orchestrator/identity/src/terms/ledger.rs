//! Where an organisation stands with each provider's texts.

use purser_authority::Permit;
use purser_authority::action::TermsRead;
use purser_db::{DbError, Tx, params};
use purser_values::name::ProviderName;
use serde::Serialize;

use super::{TermsAcceptance, accepted, terms_in_force};
use crate::consent::TermsSeen;

/// One text in force.
#[derive(Clone, Debug, Serialize)]
pub struct TermsStanding {
    pub document: TermsSeen,
    /// Who accepted it; absent while nobody has.
    pub accepted: Option<TermsAcceptance>,
    /// The text at the same address that was accepted before, when this one is not.
    pub before: Option<TermsAcceptance>,
}

/// A provider with the texts that are in force there.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderTerms {
    pub provider: ProviderName,
    pub documents: Vec<TermsStanding>,
}

impl ProviderTerms {
    /// Whether something must be accepted before anything new can be provisioned there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.documents.iter().any(|standing| standing.accepted.is_none())
    }
}

/// Every provider whose texts somebody of the organisation has accepted at some time.
///
/// # Errors
/// When the store fails.
pub fn terms_ledger(tx: &mut Tx<'_>, permit: &Permit<TermsRead>) -> Result<Vec<ProviderTerms>, DbError> {
    let Some(organisation) = permit.caller().organisation() else { return Ok(Vec::new()) };
    let all = accepted(tx, organisation)?;
    let select = "select distinct provider from terms_acceptance where organisation = $1 order by provider";
    let providers = tx.query(select, params![organisation])?;
    let mut ledger = Vec::with_capacity(providers.len());
    for row in providers {
        let provider: ProviderName = row.parse("provider")?;
        let documents = terms_in_force(tx, &provider)?.into_iter().map(|document| standing(document, &all)).collect();
        ledger.push(ProviderTerms { provider, documents });
    }
    Ok(ledger)
}

/// `all` is newest first.
fn standing(document: TermsSeen, all: &[TermsAcceptance]) -> TermsStanding {
    let of = || all.iter().filter(|a| a.provider == document.provider);
    // The first time counts, not the last.
    let accepted = of().rfind(|a| a.sha256 == document.sha256).cloned();
    let before = if accepted.is_none() { of().find(|a| a.url == document.url).cloned() } else { None };
    TermsStanding { document, accepted, before }
}
