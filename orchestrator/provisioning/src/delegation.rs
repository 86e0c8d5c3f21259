//! `agent_delegate`: an agent lets a helper act within its own grant, in all domains at once.

use purser_authority::action::AgentDelegate;
use purser_authority::{Caller, Done, authorise};
use purser_db::{DbError, Tx};
use purser_identity::grant::{self, Derive, DeriveError, Derived};
use purser_identity::{CallerError, Realm, standing};
use purser_spend::cap::CapError;
use purser_spend::{Spender, cap};
use purser_values::error::{Kind, PublicError};

use crate::agent_control::follow_grants;

#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Derive(#[from] DeriveError),
    #[error(transparent)]
    Cap(#[from] CapError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl DelegateError {
    const fn public(&self) -> &dyn PublicError {
        match self {
            Self::Caller(e) => e,
            Self::Derive(e) => e,
            Self::Cap(e) => e,
            Self::Db(e) => e,
        }
    }
}

impl PublicError for DelegateError {
    fn code(&self) -> &'static str {
        self.public().code()
    }
    fn kind(&self) -> Kind {
        self.public().kind()
    }
    fn hint(&self) -> Option<String> {
        self.public().hint()
    }
    fn details(&self) -> Option<serde_json::Value> {
        self.public().details()
    }
}

/// Makes the helper, its grant and its caps in one write, or none of them.
///
/// # Errors
/// See [`DelegateError`]: wider than the caller's own grant, too deep, or a caller that may not.
pub fn agent_delegate(tx: &mut Tx<'_>, realm: &Realm, caller: &Caller, ask: &Derive) -> Result<Done<Derived>, DelegateError> {
    let now = realm.env.now();
    let standing = standing(tx, now, caller)?;
    let subject = ask.key.thumbprint();
    let permit = authorise::<AgentDelegate>(&standing.caller, &standing.facts(now, &subject)).map_err(DeriveError::from)?;
    let mut done = grant::agent_delegate(tx, realm, &permit, ask)?;
    let Derived { grant, agent } = done.value.clone();
    let helper = Spender { organisation: grant.organisation.clone(), agent: agent.id.clone() };
    let capped = cap::delegate(tx, &realm.env, &permit, &helper, grant.scope.cap_per_provider_month, &grant.scope.caps)?;
    done.absorb(capped);
    done.jobs.extend(follow_grants(tx, &realm.env, &agent.id)?);
    Ok(done)
}
