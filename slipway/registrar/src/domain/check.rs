//! `domain_check` and `domain_search`: which names can be had, and for how much. Asked by clients before they decide on one.

use purser_values::Money;
use purser_values::name::DomainName;

use crate::domain::quote::QuoteError;
use crate::domain::{Refusal, exact, refusal};
use crate::registrar::Registrar;
use crate::registry::Availability;
use crate::store;
use crate::suggest::candidates;

/// The most names that are asked for at once.
pub const MOST: usize = 20;

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub name: DomainName,
    /// The price of a year, or why it cannot be had.
    pub yearly: Result<Money, Refusal>,
}

/// Asks the registry itself; nothing is kept.
///
/// # Errors
/// When the registry gives no answer, or the store fails.
pub async fn domain_check(registrar: &Registrar, names: Vec<DomainName>) -> Result<Vec<Checked>, QuoteError> {
    let asked: Vec<DomainName> = names.iter().filter(|name| exact(name, registrar.registry.suffixes()).is_ok()).cloned().collect();
    let held = asked.clone();
    let held = registrar.db.read(move |tx| -> Result<Vec<bool>, QuoteError> {
        held.iter().map(|name| Ok(store::live_by_name(tx, name)?.is_some())).collect()
    });
    let held = held.await?;
    let free: Vec<DomainName> = asked.iter().zip(&held).filter(|(_, held)| !**held).map(|(name, _)| name.clone()).collect();
    let said = if free.is_empty() { Vec::new() } else { registrar.registry.check_all(&free).await.map_err(unanswered)? };
    let of = |name: &DomainName| -> Result<Money, Refusal> {
        exact(name, registrar.registry.suffixes())?;
        let at = free.iter().position(|it| it == name);
        // What is not asked for is held here, by this account or another.
        match at.and_then(|at| said.get(at)) {
            Some(Availability::Free { yearly }) => Ok(*yearly),
            Some(Availability::Premium { .. }) => Err(Refusal::Premium),
            Some(Availability::Taken) | None => Err(Refusal::Taken),
        }
    };
    Ok(names.into_iter().map(|name| Checked { yearly: of(&name), name }).collect())
}

/// Names for a word or a phrase that can be had now.
///
/// # Errors
/// When the registry gives no answer, or the store fails.
pub async fn domain_search(registrar: &Registrar, phrase: &str, suffixes: &[String], limit: usize) -> Result<Vec<Checked>, QuoteError> {
    domain_check(registrar, candidates(phrase, suffixes, limit)).await
}

fn unanswered(e: crate::registry::RegistryError) -> QuoteError {
    refusal(e).map_or_else(QuoteError::Unavailable, QuoteError::Refused)
}
