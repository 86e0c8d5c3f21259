//! The person's decision over an agent's request: what the page must show, and what a yes makes in all domains at once.

use purser_authority::action::{GrantDecide, PaymentMethodSet};
use purser_authority::{Caller, Denied, Done, Facts, authorise};
use purser_catalogue::Listing;
use purser_db::{DbError, Tx};
use purser_identity::Realm;
use purser_identity::consent::{ConsentFacts, ConsentProvider};
use purser_identity::grant_request::{AskedScope, DecideError, Decided, Decision, device_decision};
use purser_identity::terms::terms_in_force;
use purser_spend::cap::CapError;
use purser_spend::method::MethodError;
use purser_spend::rail::sandbox::{self, SandboxCard};
use purser_spend::{Spender, cap, method};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{GrantRequestId, OrganisationId};
use purser_values::name::EnvironmentName;

use crate::agent_control::follow_grants;
use crate::store::{project, resource};

/// What the consent page shows of the providers asked for and of the card. A provider without terms in force is left out: it
/// cannot be granted.
///
/// # Errors
/// When the store fails.
pub fn consent_facts(tx: &mut Tx<'_>, organisation: &OrganisationId, asked: &AskedScope) -> Result<ConsentFacts, DbError> {
    let listed = purser_catalogue::providers(tx)?;
    let mut facts = ConsentFacts::default();
    for provider in listed.into_iter().filter(|listed| asked.providers.named().any(|name| *name == listed.name)) {
        let terms = terms_in_force(tx, &provider.name)?;
        if !terms.is_empty() {
            let offered = purser_catalogue::list(tx, Some(provider.name.as_str()))?;
            let last = |listing: &Listing| {
                listing.service.provider == provider.name && asked.services.contains(&listing.service) && listing.price.is_irreversible()
            };
            let irreversible = offered.into_iter().filter(last).map(|listing| listing.service.service).collect();
            facts.providers.push(ConsentProvider { name: provider.name, display: provider.display, irreversible, terms });
        }
    }
    let projects = project::list(tx, organisation)?;
    facts.new_projects = asked.projects.named().filter(|name| !projects.iter().any(|known| known.name == **name)).cloned().collect();
    let used = resource::environments(tx, organisation)?;
    let is_used = |name: &EnvironmentName| used.iter().any(|(project, used)| used == name && asked.projects.contains(project));
    facts.new_environments = asked.environments.named().filter(|name| !is_used(name)).cloned().collect();
    facts.payment_method = method::current(tx, organisation)?.map(|m| format!("{} ending in {}", m.brand, m.last4));
    Ok(facts)
}

/// A person's decision with what comes along on the same page.
#[derive(Clone, Debug)]
pub struct ConsentDecision {
    pub decision: Decision,
    /// A sandbox card to put on file when there is none.
    pub card: Option<SandboxCard>,
}

#[derive(Debug, thiserror::Error)]
pub enum GrantDecideError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Decide(#[from] DecideError),
    #[error(transparent)]
    Cap(#[from] CapError),
    #[error(transparent)]
    Method(#[from] MethodError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl GrantDecideError {
    const fn public(&self) -> &dyn PublicError {
        match self {
            Self::Denied(e) => e,
            Self::Decide(e) => e,
            Self::Cap(e) => e,
            Self::Method(e) => e,
            Self::Db(e) => e,
        }
    }
}

impl PublicError for GrantDecideError {
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

/// `grant_decide`: the grant, the terms records, the cap and the card are made in one write, or none of them.
///
/// # Errors
/// See [`GrantDecideError`].
pub fn grant_decide(
    tx: &mut Tx<'_>,
    realm: &Realm,
    caller: &Caller,
    request: &GrantRequestId,
    decision: &ConsentDecision,
) -> Result<Done<Decided>, GrantDecideError> {
    let now = realm.env.now();
    let permit = authorise::<GrantDecide>(caller, &Facts::new(now, request.as_str()))?;
    let mut done = device_decision(tx, realm, &permit, &decision.decision)?;
    let Decided::Granted { grant, agent, by } = done.value.clone() else { return Ok(done) };
    done.jobs.extend(follow_grants(tx, &realm.env, &agent.id)?);
    let spender = Spender { organisation: grant.organisation.clone(), agent: agent.id };
    let capped = cap::grant(tx, &realm.env, &permit, &spender, grant.scope.cap_per_provider_month, &grant.scope.caps)?;
    done.absorb(capped);
    if let Some(card) = decision.card
        && method::current(tx, &grant.organisation)?.is_none()
    {
        // who signed was there a moment after `now`, and a proof from the future is none
        let permit = authorise::<PaymentMethodSet>(&by, &Facts::new(realm.env.now(), "sandbox card"))?;
        let set_up = sandbox::set_up(tx, &realm.env, card)?;
        let added = method::add(tx, &realm.env, &permit, &grant.organisation, &set_up)?;
        done.absorb(added);
    }
    Ok(done)
}
