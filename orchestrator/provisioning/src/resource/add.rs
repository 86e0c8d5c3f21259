//! `resource_add`: takes the request in, writes the intent down, and leaves the rest to the saga.

use purser_authority::action::ResourceAdd;
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome, authorise};
use purser_catalogue::Price;
use purser_identity::approval::{self, ApprovalError};
use purser_identity::standing;
use purser_values::Sha256Digest;
use purser_values::id::{ApprovalId, ResourceId, SagaId};
use purser_values::name::{EnvironmentName, ProjectName, ResourceName, ServiceRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::add_saga::{AddState, KIND};
use super::afford::spent_budget;
use super::check::{by_approval, check, facts};
use super::{first_answer, keep_answer, not_an_agent};
use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::store::project;
use crate::store::resource::{self, Resource, State};

/// What an agent asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    pub project: ProjectName,
    #[serde(default = "development")]
    pub environment: EnvironmentName,
    pub service: ServiceRef,
    #[serde(default)]
    pub name: Option<ResourceName>,
    #[serde(default)]
    pub configuration: Map<String, Value>,
    /// A person's yes to exactly this, for what the grant alone does not allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
}

fn development() -> EnvironmentName {
    #[allow(clippy::expect_used, reason = "a constant that parses")]
    "development".parse().expect("`development` is an environment name")
}

/// A request that was taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    pub saga: SagaId,
    pub resource: ResourceId,
}

/// Checks the request, takes the name and begins the saga, all in one write. The same key gives the same saga.
///
/// # Errors
/// The first blocker; nothing is begun then.
pub async fn resource_add(app: &App, caller: &Caller, agent_jkt: &str, request: AddRequest, key: Option<String>) -> Result<Begun, OpError> {
    let attempt = Attempt::new("resource_add", caller, request.service.to_string());
    let (app_in, caller, jkt) = (app.clone(), caller.clone(), agent_jkt.to_owned());
    perform(&app.core, attempt, move |tx| {
        let app = &app_in;
        let (env, now) = (&app.core.env, app.core.env.now());
        let Caller::Agent { agent, grant, on_behalf_of, organisation, .. } = &caller else {
            return Err(not_an_agent::<ResourceAdd>(&caller, &Facts::new(now, &request.service.to_string())));
        };
        let asked = serde_json::to_string(&request).map_err(|e| OpError::Invalid(e.to_string()))?;
        if let Some(first) = first_answer(tx, app, agent, key.as_deref(), &asked)? {
            return Ok(Done::quiet(first));
        }
        // Said first: asking the person for a wider grant would not help, and the list of providers is public.
        if !app.gateway.is_configured(&request.service.provider) {
            return Err(OpError::ProviderUnknown(request.service.provider.clone()));
        }
        let standing = standing(tx, now, &caller)?;
        let subject = request.service.to_string();
        let permit = authorise::<ResourceAdd>(&caller, &facts(&standing, now, &request, &subject))?;
        let project = project::by_name(tx, organisation, &request.project)?.ok_or_else(|| OpError::ProjectUnknown(request.project.clone()))?;
        let checked = check(tx, app, &request, &project, standing.grant.as_ref())?;
        let allowed = |blocker: &OpError| request.approval.is_some() && by_approval(blocker);
        if let Some(blocker) = checked.blockers.into_iter().find(|blocker| !allowed(blocker)) {
            return Err(blocker);
        }
        let (Some(listing), Some(name)) = (checked.listing, checked.name) else {
            return Err(OpError::ServiceUnknown(request.service.clone()));
        };
        if request.approval.is_none()
            && let Some(spent) = spent_budget(tx, app, &standing, &request, &listing)?
        {
            return Err(spent);
        }
        let begun = Begun { saga: SagaId::mint(env), resource: ResourceId::mint(env) };
        let mut done = Done::quiet(begun.clone());
        let mut price = listing.price.clone();
        if let Some(id) = &request.approval {
            let text = crate::approval::add_request(tx, &standing, &request, &listing)?;
            let digest = Sha256Digest::of(text.as_bytes());
            let approved = done.absorb(approval::consume(tx, now, &permit, id, &digest, begun.resource.as_str())?);
            if !approved.covers(&digest) {
                return Err(ApprovalError::Mismatch(id.clone()).into());
            }
            if let Price::Unknown { .. } = price {
                price = crate::approval::at_most(tx, now, id)?.ok_or_else(|| OpError::PriceUnknown(request.service.clone()))?;
            }
        }
        let row = Resource {
            id: begun.resource.clone(),
            organisation: organisation.clone(),
            project: project.id.clone(),
            project_name: project.name.clone(),
            environment: request.environment.clone(),
            provider: request.service.provider.clone(),
            service: request.service.service.clone(),
            name: name.clone(),
            state: State::Creating,
            account: None,
            provider_resource: None,
            person: on_behalf_of.clone(),
            agent: agent.clone(),
            grant: grant.clone(),
            saga: begun.saga.clone(),
            configuration: Value::Object(request.configuration.clone()),
            endpoints: Vec::new(),
            facts: Value::Object(Map::new()),
            created_at: now,
        };
        if !resource::insert(tx, &row)? {
            return Err(OpError::NameTaken { name, environment: request.environment.clone() });
        }
        let price = matches!(price, Price::Known { .. }).then_some(price);
        let mut state = AddState::new(&row, &caller, &jkt, price, request.approval.clone());
        state.categories.clone_from(&listing.categories);
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, env, &begun.saga, KIND, organisation.as_str(), &state)?;
        keep_answer(tx, agent, key.as_deref(), &begun)?;
        // A configuration may hold a password of somebody else's database; the log can never forget, so it keeps the digest.
        let configuration = purser_wire::canonical::digest(&row.configuration);
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), begun.resource.as_str())
            .related([begun.saga.as_str(), project.id.as_str(), subject.as_str()])
            .related(request.approval.iter())
            .with(serde_json::json!({"service": subject, "environment": request.environment, "name": row.name, "configuration_sha256": configuration}));
        Ok(done.and_event(event))
    })
    .await
}
