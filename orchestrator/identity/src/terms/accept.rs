//! `terms_accept`: a person accepts a provider's texts for the organisation, apart from any grant: when a text has changed.

use purser_authority::action::TermsAccept;
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_db::{DbError, Tx};
use purser_values::Env;
use purser_values::error::{Kind, PublicError};
use purser_values::name::ProviderName;

use super::{Accepting, TERMS_PAGE, accepted, record, terms_in_force};
use crate::consent::TermsSeen;

#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the terms of `{0}` are not the ones that were shown")]
    Changed(ProviderName),
    #[error("the terms of `{0}` are not known")]
    Unknown(ProviderName),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for TermsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Changed(_) => "terms_changed",
            Self::Unknown(_) => "terms_unknown",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Changed(_) => Kind::NeedsPerson,
            Self::Unknown(_) => Kind::Provider,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Changed(_) => Some("read the page again: the provider has published other terms".to_owned()),
            Self::Unknown(_) => Some("the provider publishes no terms that could be accepted".to_owned()),
            Self::Db(_) => None,
        }
    }
}

/// Accepts every text of the provider that is in force and that nobody of the organisation has accepted yet. `shown` must be
/// exactly what is in force.
///
/// # Errors
/// [`TermsError::Changed`] when something else was shown.
pub fn terms_accept(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<TermsAccept>,
    provider: &ProviderName,
    shown: &[TermsSeen],
) -> Result<Done<usize>, TermsError> {
    let Caller::Person { person, organisation, .. } = permit.caller() else { return Err(Denied::Anonymous.into()) };
    check_shown(tx, provider, shown)?;
    let before = accepted(tx, organisation)?;
    let mut done = Done::quiet(0);
    for seen in shown {
        if before.iter().any(|a| a.provider == *provider && a.sha256 == seen.sha256) {
            continue;
        }
        let accepting = Accepting { organisation, person, grant: None, agent: None, method: TERMS_PAGE };
        let id = record(tx, env, &accepting, seen)?;
        done.value += 1;
        let event = Event::done(permit.verb(), permit.caller(), id.as_str())
            .related([&seen.sha256.to_string()])
            .with(serde_json::json!({ "method": TERMS_PAGE, "seen": seen }));
        done.events.push(event);
    }
    Ok(done)
}

/// Exactly the documents in force must have been shown, and there must be one.
pub(crate) fn check_shown(tx: &mut Tx<'_>, provider: &ProviderName, seen: &[TermsSeen]) -> Result<(), TermsError> {
    let mut in_force = terms_in_force(tx, provider)?;
    if in_force.is_empty() {
        return Err(TermsError::Unknown(provider.clone()));
    }
    let mut shown: Vec<TermsSeen> = seen.iter().filter(|t| t.provider == *provider).cloned().collect();
    in_force.sort();
    shown.sort();
    if shown == in_force { Ok(()) } else { Err(TermsError::Changed(provider.clone())) }
}
