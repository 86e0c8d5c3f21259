//! `resource_update`: another service of the same provider, or another configuration, for a resource that lives: a plan upgraded or
//! downgraded.
//!
//! What is dearer is bought: it needs the right to add it, a quote, and money that is set aside for it. What is cheaper takes over when
//! the provider says, and needs no money.

use purser_authority::action::{ResourceAdd, ResourceUpdate};
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome};
use purser_catalogue::{Listing, Price};
use purser_db::Tx;
use purser_identity::approval::{self, ApprovalError};
use purser_identity::{CallContext, standing};
use purser_values::Sha256Digest;
use purser_values::id::{ApprovalId, ResourceId, SagaId};
use purser_values::name::ServiceRef;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::add::{AddRequest, Begun};
use super::afford::spent_budget;
use super::check::terms_accepted;
use super::update_saga::{KIND, UpdateState};
use super::{first_answer, keep_answer, not_an_agent, own, permit_on};
use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::store::project;
use crate::store::resource::{self, Resource, State};

/// Which way a change must go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To what costs more.
    Up,
    /// To what costs less.
    Down,
    #[default]
    Any,
}

/// What an agent asks for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// Another service of the same provider; absent where only the configuration changes.
    #[serde(default)]
    pub service: Option<ServiceRef>,
    #[serde(default)]
    pub configuration: Option<Map<String, Value>>,
    #[serde(default)]
    pub direction: Direction,
    /// A person's yes to exactly this, for what the grant or a budget alone does not allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
}

/// What a change comes to.
pub(crate) struct Change {
    /// What it becomes.
    pub listing: Listing,
    /// The same as a purchase: where it counts.
    pub as_add: AddRequest,
    /// Whether it is bought.
    pub dearer: bool,
}

/// Checks the change, marks the resource and begins the saga, all in one write. The same key gives the same saga.
///
/// # Errors
/// When the caller may not, the resource is not live, or the change cannot be bought; nothing is begun then.
pub async fn resource_update(
    app: &App,
    caller: &Caller,
    agent_jkt: &str,
    id: ResourceId,
    request: UpdateRequest,
    key: Option<String>,
) -> Result<Begun, OpError> {
    let (app_in, caller_in, jkt) = (app.clone(), caller.clone(), agent_jkt.to_owned());
    perform(&app.core, Attempt::new("resource_update", caller, id.as_str()), move |tx| {
        let (app, caller, now) = (&app_in, &caller_in, app_in.core.env.now());
        let Caller::Agent { agent, .. } = caller else {
            let owner = own(tx, caller, &id)?.organisation;
            return Err(not_an_agent::<ResourceUpdate>(caller, &Facts { owner: Some(&owner), ..Facts::new(now, id.as_str()) }));
        };
        let asked = serde_json::to_string(&request).map_err(|e| OpError::Invalid(e.to_string()))?;
        if let Some(first) = first_answer(tx, app, agent, key.as_deref(), &format!("resource_update {id} {asked}"))? {
            return Ok(Done::quiet(first));
        }
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, now, caller)?;
        let permit = permit_on::<ResourceUpdate>(&standing, &row, now)?;
        let change = change(tx, app, &standing, &row, &request)?;
        let mut done = Done::quiet(());
        if let Some(id) = &request.approval {
            let text = crate::approval::change_request(tx, &standing, &row, &change)?;
            let digest = Sha256Digest::of(text.as_bytes());
            let approved = done.absorb(approval::consume(tx, now, &permit, id, &digest, row.id.as_str())?);
            if !approved.covers(&digest) {
                return Err(ApprovalError::Mismatch(id.clone()).into());
            }
        }
        let Change { listing, dearer, .. } = &change;
        let saga = SagaId::mint(&app.core.env);
        let state = UpdateState::new(&row, caller, &jkt, &request, listing, *dearer);
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, &app.core.env, &saga, KIND, row.organisation.as_str(), &state)?;
        resource::begin_change(tx, &id, &saga, State::Updating)?;
        let begun = Begun { saga, resource: id.clone() };
        keep_answer(tx, agent, key.as_deref(), &begun)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), id.as_str())
            .related([begun.saga.as_str(), &row.service_ref().to_string(), &listing.service.to_string()])
            .related(request.approval.iter())
            .with(serde_json::json!({ "from": row.service_ref(), "to": listing.service }));
        Ok(done.and_event(event).map(|()| begun.clone()))
    })
    .await
}

/// Looks at a change as far as that can be done without the provider. What an approval clears stands against one without.
///
/// # Errors
/// The first thing that stands against it.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    app: &App,
    standing: &CallContext,
    row: &Resource,
    request: &UpdateRequest,
) -> Result<Change, OpError> {
    let now = app.core.env.now();
    if row.state != State::Live {
        return Err(OpError::WrongState("resource_update", row.state.name()));
    }
    let to = target(row, request)?;
    let after = Resource { service: to.service.clone(), ..row.clone() };
    // Whoever may change it may do so only into what the grant lets them have.
    permit_on::<ResourceAdd>(standing, &after, now).map(drop)?;
    let listing = purser_catalogue::get(tx, &to)?.ok_or_else(|| OpError::ServiceUnknown(to.clone()))?;
    let before = purser_catalogue::get(tx, &row.service_ref())?;
    if app.gateway.get(&row.provider).is_none() {
        return Err(OpError::ProviderAbsent(row.provider.clone()));
    }
    let project = project::by_name(tx, &row.organisation, &row.project_name)?;
    let project = project.ok_or_else(|| OpError::ProjectUnknown(row.project_name.clone()))?;
    let as_add = AddRequest {
        project: row.project_name.clone(),
        environment: row.environment.clone(),
        service: to.clone(),
        name: Some(row.name.clone()),
        configuration: request.configuration.clone().unwrap_or_default(),
        approval: None,
    };
    let dearer = dearer(before.as_ref(), &listing, to.service == row.service);
    match (request.direction, dearer) {
        (Direction::Up, false) => return Err(OpError::Direction { service: to, way: "dearer" }),
        (Direction::Down, true) => return Err(OpError::Direction { service: to, way: "cheaper" }),
        _ => {}
    }
    if dearer {
        let granted = standing.grant.as_ref().is_none_or(|grant| grant.irreversible);
        match &listing.price {
            Price::Unknown { .. } => return Err(OpError::PriceUnknown(to)),
            price if price.is_irreversible() && !granted && request.approval.is_none() => return Err(OpError::IrreversibleNotGranted(to)),
            _ => {}
        }
        if !terms_accepted(tx, &as_add, &project)? {
            return Err(OpError::TermsChanged(row.provider.clone()));
        }
        if request.approval.is_none()
            && let Some(spent) = spent_budget(tx, app, standing, &as_add, &listing)?
        {
            return Err(spent);
        }
    }
    Ok(Change { listing, as_add, dearer })
}

/// What it is to become: something else than it is, of the same provider.
fn target(row: &Resource, request: &UpdateRequest) -> Result<ServiceRef, OpError> {
    let to = request.service.clone().unwrap_or_else(|| row.service_ref());
    if to.provider != row.provider {
        return Err(OpError::Invalid(format!("`{to}` is of another provider: add it, and remove `{}`", row.name)));
    }
    let configuration = request.configuration.as_ref().is_some_and(|asked| row.configuration.as_object() != Some(asked));
    if to.service == row.service && !configuration {
        return Err(OpError::Invalid(format!("`{}` is that already", row.name)));
    }
    Ok(to)
}

/// Whether a change has to be bought. What cannot be compared is: its quote says how much.
fn dearer(before: Option<&Listing>, after: &Listing, same: bool) -> bool {
    let now = before.map(|listing| &listing.price);
    match (&after.price, now) {
        (Price::Free | Price::Included, _) => false,
        (Price::Known { amount, .. }, _) if !amount.is_positive() => false,
        (Price::Known { amount: to, period, .. }, Some(Price::Known { amount: from, period: was, .. })) if !same => {
            to.currency() != from.currency() || period != was || to.minor() > from.minor()
        }
        (Price::Known { .. } | Price::Unknown { .. }, _) => true,
    }
}
