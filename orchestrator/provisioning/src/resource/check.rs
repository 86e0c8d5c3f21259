//! What can stand against adding a resource before the provider is asked, all of it at once.

use purser_authority::{Facts, GrantScope};
use purser_catalogue::{Listing, Price};
use purser_db::Tx;
use purser_identity::terms;
use purser_values::Timestamp;
use purser_values::name::{EnvironmentName, ResourceName};

use super::add::AddRequest;
use super::stated::stated_price;
use crate::app::App;
use crate::error::OpError;
use crate::store::project::Project;
use crate::store::resource::{self, State};

/// Whether a person's yes to the one request clears it.
pub fn by_approval(blocker: &OpError) -> bool {
    matches!(blocker, OpError::IrreversibleNotGranted(_) | OpError::PriceUnknown(_) | OpError::PriceSpecial { .. })
}

/// What was found out on the way.
pub struct Checked {
    pub listing: Option<Listing>,
    pub name: Option<ResourceName>,
    /// In the order in which they should be cleared.
    pub blockers: Vec<OpError>,
}

/// Looks at everything; only a failure of the store ends it early.
pub fn check(tx: &mut Tx<'_>, app: &App, request: &AddRequest, project: &Project, grant: Option<&GrantScope>) -> Result<Checked, OpError> {
    let mut blockers = Vec::new();
    let provider = &request.service.provider;
    if !app.gateway.is_configured(provider) {
        blockers.push(OpError::ProviderUnknown(provider.clone()));
        return Ok(Checked { listing: None, name: None, blockers });
    }
    let Some(mut listing) = purser_catalogue::get(tx, &request.service)? else {
        // A catalogue that is still empty is no proof that the service does not exist.
        let answered = app.gateway.get(provider).is_some();
        blockers.push(if answered { OpError::ServiceUnknown(request.service.clone()) } else { OpError::ProviderAbsent(provider.clone()) });
        return Ok(Checked { listing: None, name: None, blockers });
    };
    if app.gateway.get(provider).is_none() {
        blockers.push(OpError::ProviderAbsent(provider.clone()));
    }
    // From here on the price is the one that the request states: it is what a person approves, and what the quote may not exceed.
    if let Some(price) = stated_price(&listing, &request.configuration)? {
        let amount = if let Price::Known { amount, .. } = &price { amount.to_string() } else { String::new() };
        blockers.push(OpError::PriceSpecial { service: request.service.clone(), amount });
        listing.price = price;
    }
    match &listing.price {
        Price::Unknown { .. } => blockers.push(OpError::PriceUnknown(request.service.clone())),
        price if price.is_irreversible() && grant.is_some_and(|g| !g.irreversible) => {
            blockers.push(OpError::IrreversibleNotGranted(request.service.clone()));
        }
        _ => {}
    }
    if let Some(missing) = plan_missing(tx, &listing, project)? {
        blockers.push(missing);
    }
    if !terms_accepted(tx, request, project)? {
        blockers.push(OpError::TermsChanged(provider.clone()));
    }
    let name = match &request.name {
        Some(name) => name.clone(),
        None => free_name(tx, request, project)?,
    };
    if is_taken(tx, project, &request.environment, &name)? {
        blockers.push(OpError::NameTaken { name: name.clone(), environment: request.environment.clone() });
    }
    Ok(Checked { listing: Some(listing), name: Some(name), blockers })
}

/// The facts for the permit of an add.
pub fn facts<'a>(standing: &'a purser_identity::CallContext, now: Timestamp, request: &'a AddRequest, subject: &'a str) -> Facts<'a> {
    Facts {
        project: Some(&request.project),
        environment: Some(&request.environment),
        provider: Some(&request.service.provider),
        service: Some(&request.service),
        ..standing.facts(now, subject)
    }
}

/// A service that belongs to plans needs one of them to be live in the organisation's account.
fn plan_missing(tx: &mut Tx<'_>, listing: &Listing, project: &Project) -> Result<Option<OpError>, OpError> {
    if listing.parents.is_empty() {
        return Ok(None);
    }
    let here = resource::of_organisation(tx, &project.organisation, &listing.service.provider)?;
    let live = here.iter().any(|r| r.state == State::Live && listing.parents.contains(&r.service));
    let plans = listing.parents.iter().map(|p| format!("{}/{p}", listing.service.provider)).collect::<Vec<_>>().join(", ");
    Ok((!live).then(|| OpError::PlanRequired { service: listing.service.clone(), plans }))
}

/// Whether every document in force was accepted by somebody of the organisation.
pub fn terms_accepted(tx: &mut Tx<'_>, request: &AddRequest, project: &Project) -> Result<bool, OpError> {
    let accepted = terms::accepted(tx, &project.organisation)?;
    let in_force = terms::terms_in_force(tx, &request.service.provider)?;
    Ok(in_force.iter().all(|doc| accepted.iter().any(|a| a.provider == request.service.provider && a.sha256 == doc.sha256)))
}

/// The service's first word, with a number when that is taken: `workers`, `workers-2`.
fn free_name(tx: &mut Tx<'_>, request: &AddRequest, project: &Project) -> Result<ResourceName, OpError> {
    let service = request.service.service.as_str();
    let stem: String = service.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let stem = stem.trim_matches('-').to_owned();
    for n in 1..1_000 {
        let text = if n == 1 { stem.clone() } else { format!("{stem}-{n}") };
        let name: ResourceName = text.parse().map_err(|e| OpError::Invalid(format!("{e}")))?;
        if !is_taken(tx, project, &request.environment, &name)? {
            return Ok(name);
        }
    }
    Err(OpError::Invalid("there are too many resources of this service; choose a name".to_owned()))
}

fn is_taken(tx: &mut Tx<'_>, project: &Project, environment: &EnvironmentName, name: &ResourceName) -> Result<bool, OpError> {
    Ok(resource::in_environment(tx, &project.id, environment)?.iter().any(|r| r.name == *name))
}
