//! The saga behind `resource_update`: quote → pay → update → settle.
//!
//! Nothing is given up before the provider has changed it: until then the resource is what it was, and an undo gives the money back. What
//! was paid for is what the provider made: money that was charged before a freeze turned the saga round stays charged, and the resource
//! is written down as what it became.

use purser_authority::action::ResourceUpdate;
use purser_authority::{Attempt, Caller, Done, Event, Outcome};
use purser_catalogue::{Listing, Price};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_spend::{charge, hold, renewal};
use purser_values::error::Kind;
use purser_values::id::{ApprovalId, HoldId, ResourceId};
use purser_values::name::ServiceName;
use purser_wire::quote::{Parties, Quote, QuoteRequest};
use purser_wire::resource::{ResourceEnvelope, ResourceState, UpdateResource};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bought::{Bought, credentials, for_the_bank};
use super::quoted::{check, final_for_us, parties};
use super::update::UpdateRequest;
use super::{delivery, resource_row, still_permitted};
use crate::account;
use crate::app::App;
use crate::error::PayError;
use crate::fault::{of_call, permanent};
use crate::gateway::Provider;
use crate::perform;
use crate::store::resource::{self, Resource, State};
use crate::store::{ending, payment};

pub const KIND: &str = "resource_update";

/// Time between two looks at a change that the provider is still making, in milliseconds.
const POLL_MS: u64 = 300;

/// What the saga carries from step to step. It holds no secret in plain text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateState {
    pub resource: ResourceId,
    caller: Caller,
    agent_jkt: String,
    service: ServiceName,
    configuration: Option<Map<String, Value>>,
    /// The catalogue's price of what it becomes, where there is something to buy.
    price: Option<Price>,
    /// Whether it costs nothing any more once it has changed.
    free: bool,
    categories: Vec<String>,
    /// The approval that was used for it.
    #[serde(default)]
    approval: Option<ApprovalId>,
    quote: Option<Quote>,
    hold: Option<HoldId>,
    /// The payment token, sealed for this resource.
    payment_token: Option<String>,
    /// Whether it was changed, whatever became of the rest.
    made: bool,
}

impl UpdateState {
    pub fn new(row: &Resource, caller: &Caller, agent_jkt: &str, request: &UpdateRequest, to: &Listing, dearer: bool) -> Self {
        Self {
            resource: row.id.clone(),
            caller: caller.clone(),
            agent_jkt: agent_jkt.to_owned(),
            service: to.service.service.clone(),
            configuration: request.configuration.clone(),
            price: dearer.then(|| to.price.clone()),
            free: matches!(to.price, Price::Free | Price::Included),
            categories: to.categories.clone(),
            approval: request.approval.clone(),
            quote: None,
            hold: None,
            payment_token: None,
            made: false,
        }
    }

    /// The resource as it is to be.
    fn after(&self, row: &Resource) -> Resource {
        let configuration = self.configuration.clone().map_or_else(|| row.configuration.clone(), Value::Object);
        Resource { service: self.service.clone(), configuration, ..row.clone() }
    }
}

type Running = std::pin::Pin<Box<dyn Future<Output = Result<UpdateState, StepError>> + Send>>;

/// The saga over the parts of this process.
pub fn definition(app: &App) -> Definition<UpdateState> {
    let step = |run: fn(App, StepCx, UpdateState) -> Running| {
        let app = app.clone();
        move |cx: StepCx, state: UpdateState| run(app.clone(), cx, state)
    };
    Definition {
        kind: KIND,
        steps: vec![
            Step::new("quote", step(|a, c, s| Box::pin(get_quote(a, c, s)))).undo(step(|a, c, s| Box::pin(as_it_was(a, c, s)))),
            Step::new("pay", step(|a, c, s| Box::pin(pay(a, c, s)))).undo(step(|a, c, s| Box::pin(unpay(a, c, s)))),
            Step::new("update", step(|a, c, s| Box::pin(update(a, c, s)))).undo(step(|a, c, s| Box::pin(what_came_of_it(a, c, s)))),
            Step::new("settle", step(|a, c, s| Box::pin(settle(a, c, s)))),
        ],
    }
}

async fn parts(app: &App, state: &UpdateState) -> Result<(Resource, std::sync::Arc<Provider>), StepError> {
    let row = resource_row(app, &state.resource).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    Ok((row, provider))
}

async fn get_quote(app: App, cx: StepCx, mut state: UpdateState) -> Result<UpdateState, StepError> {
    let Some(price) = &state.price else { return Ok(state) };
    let (row, provider) = parts(&app, &state).await?;
    still_permitted::<ResourceUpdate>(&app, &state.caller, &row).await?;
    let opened = account::ensure(&app, &cx, &state.caller, &state.agent_jkt, &provider).await?;
    let request = quote_request(&row, &state, parties(&app, &row, &provider).await?)?;
    let quote = provider.client.quote_create(&opened.access, &request).await.map_err(|e| of_call(&cx, &e))?;
    check(price, &quote)?;
    state.quote = Some(quote).filter(|quote| quote.total().is_positive());
    Ok(state)
}

fn quote_request(row: &Resource, state: &UpdateState, parties: Option<Parties>) -> Result<QuoteRequest, StepError> {
    Ok(QuoteRequest {
        service_id: state.service.as_str().parse().map_err(|e| unusable(&e))?,
        configuration: state.configuration.clone().unwrap_or_default(),
        project_id: None,
        resource_id: Some(remote(row)?),
        parties,
    })
}

fn remote(row: &Resource) -> Result<purser_wire::id::ResourceId, StepError> {
    let lost = || permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None);
    row.provider_resource.as_deref().and_then(|id| id.parse().ok()).ok_or_else(lost)
}

fn unusable(e: &dyn std::fmt::Display) -> StepError {
    permanent("request_unusable", Kind::Internal, e.to_string(), None)
}

/// Sets aside what the quote asks for at most; the provider takes off what is left of the old plan.
async fn pay(app: App, cx: StepCx, mut state: UpdateState) -> Result<UpdateState, StepError> {
    let Some(quote) = state.quote.clone() else { return Ok(state) };
    let (row, _) = parts(&app, &state).await?;
    let bought = Bought {
        app,
        caller: state.caller.clone(),
        row: state.after(&row),
        quote,
        key: cx.key(),
        approval: state.approval.clone(),
        categories: state.categories.clone(),
    };
    let (hold, sealed) = bought.pay().await?;
    state.hold = Some(hold);
    state.payment_token = Some(sealed);
    Ok(state)
}

async fn update(app: App, cx: StepCx, mut state: UpdateState) -> Result<UpdateState, StepError> {
    let (row, provider) = parts(&app, &state).await?;
    // The last look before the provider acts: a freeze since the money was held stops here.
    still_permitted::<ResourceUpdate>(&app, &state.caller, &row).await?;
    if let Some(hold) = &state.hold
        && let Some(waiting) = for_the_bank(&app, hold, &row).await?
    {
        return Err(waiting);
    }
    let id = remote(&row)?;
    let opened = account::ensure(&app, &cx, &state.caller, &state.agent_jkt, &provider).await?;
    let mut request = UpdateResource {
        service_id: Some(state.service.as_str().parse().map_err(|e| unusable(&e))?),
        configuration: state.configuration.clone(),
        ..UpdateResource::default()
    };
    if let (Some(quote), Some(sealed)) = (&state.quote, &state.payment_token) {
        request.payment_credentials = Some(credentials(&app, &row.id, sealed)?);
        request.quote_id = Some(quote.id.clone());
    }
    let key = cx.key().parse().map_err(|e| unusable(&e))?;
    let mut envelope = provider.client.resource_update(&opened.access, &id, &request, &key).await.map_err(|e| of_call(&cx, &e))?;
    // A repetition of the call repeats its answer; how things stand now is another question.
    if matches!(envelope.state, ResourceState::Pending) {
        envelope = provider.client.resource_get(&opened.access, &id).await.map_err(|e| of_call(&cx, &e))?;
    }
    taken_in(&app, &row, envelope).await?;
    state.made = true;
    Ok(state)
}

/// New credentials go where the old ones are.
async fn taken_in(app: &App, row: &Resource, envelope: ResourceEnvelope) -> Result<(), StepError> {
    let access = match envelope.state {
        ResourceState::Complete { access_configuration, .. } => access_configuration.unwrap_or_default().0,
        ResourceState::Pending => {
            return Err(StepError::Transient { why: "the provider is still changing it".to_owned(), after_ms: Some(POLL_MS) });
        }
        ResourceState::Error(error) => return Err(StepError::Permanent(crate::fault::refused(&error.code, &error.message))),
        _ => {
            let message = "the provider answered with a state that a changed resource cannot have";
            return Err(permanent("provider_garbage", Kind::Provider, message, None));
        }
    };
    if access.is_empty() {
        return Ok(());
    }
    let (env, keyring, delivery) = (app.core.env.clone(), app.core.keyring.clone(), delivery(row));
    let delivered = app.core.db.write(move |tx| purser_vault::deliver(tx, &env, &keyring, &delivery, &access));
    delivered.await.map(drop).map_err(|e| StepError::of(&e))
}

/// The saga turns round while nobody knows whether the provider has changed it: a charge says that it has. The payment token is taken
/// back in the write that finds none, so that none can come later.
async fn what_came_of_it(app: App, _: StepCx, mut state: UpdateState) -> Result<UpdateState, StepError> {
    let Some(id) = state.hold.clone().filter(|_| !state.made) else { return Ok(state) };
    let (env, attempt) = (app.core.env.clone(), Attempt::new("hold_release", &Caller::System, id.as_str()));
    let looked = perform(&app.core, attempt, move |tx| -> Result<Done<Option<bool>>, PayError> {
        let charges = charge::of_hold(tx, &id)?;
        if charges.iter().any(|charge| charge.state.is_open()) {
            return Ok(Done::quiet(None));
        }
        if charges.iter().any(|charge| charge.state == charge::ChargeState::Succeeded) {
            return Ok(Done::quiet(Some(true)));
        }
        Ok(hold::release(tx, &env, &Caller::System, &id)?.map(|()| Some(false)))
    });
    match looked.await.map_err(|e| StepError::of(&e))? {
        Some(true) => {
            state.made = true;
            settle_as(&app, &state, Caller::System).await?;
            Ok(state)
        }
        Some(false) => Ok(state),
        None => Err(StepError::Transient { why: "a charge of it is under way".to_owned(), after_ms: Some(POLL_MS) }),
    }
}

/// Gives back what was held for a change that was not made.
async fn unpay(app: App, _: StepCx, mut state: UpdateState) -> Result<UpdateState, StepError> {
    if state.made {
        return Ok(state);
    }
    let (hold, resource, env) = (state.hold.clone(), state.resource.clone(), app.core.env.clone());
    perform(&app.core, Attempt::new("hold_release", &Caller::System, state.resource.as_str()), move |tx| -> Result<Done<()>, PayError> {
        payment::forget(tx, &resource)?;
        match &hold {
            Some(hold) => Ok(hold::release(tx, &env, &Caller::System, hold)?),
            None => Ok(Done::quiet(())),
        }
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    state.payment_token = None;
    Ok(state)
}

async fn as_it_was(app: App, _: StepCx, state: UpdateState) -> Result<UpdateState, StepError> {
    if state.made {
        return Ok(state);
    }
    let (id, organisation) = (state.resource.clone(), state.caller.organisation().cloned());
    perform(&app.core, Attempt::new("resource_update", &Caller::System, id.as_str()), move |tx| -> Result<Done<()>, PayError> {
        resource::set_state(tx, &id, State::Live)?;
        let event = Event::new("resource_update", Outcome::Failed("undone".to_owned()), &Caller::System, id.as_str());
        Ok(Done::with_event((), organisation.iter().fold(event, |event, organisation| event.in_organisation(organisation))))
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    Ok(state)
}

async fn settle(app: App, _: StepCx, mut state: UpdateState) -> Result<UpdateState, StepError> {
    settle_as(&app, &state, state.caller.clone()).await?;
    state.payment_token = None;
    Ok(state)
}

/// Writes down what the resource is now. What the old plan would have cost again is not set aside any more, where something else is paid
/// for or nothing.
async fn settle_as(app: &App, state: &UpdateState, caller: Caller) -> Result<(), StepError> {
    let row = resource_row(app, &state.resource).await?;
    let (env, state) = (app.core.env.clone(), state.clone());
    perform(&app.core, Attempt::new("resource_update", &caller.clone(), row.id.as_str()), move |tx| -> Result<Done<()>, PayError> {
        let quote = state.quote.as_ref();
        let quote = quote.map(|q| json!({"id": q.id, "digest": q.digest, "total": q.total(), "irreversible": final_for_us(q)}));
        let after = state.after(&row);
        let mut facts = row.facts.clone();
        if let (Some(facts), Some(quote)) = (facts.as_object_mut(), &quote) {
            facts.insert("quote".to_owned(), quote.clone());
            facts.insert("hold".to_owned(), json!(state.hold));
        }
        resource::changed(tx, &after, &facts)?;
        payment::forget(tx, &row.id)?;
        // Another plan goes on, also where the old one was to end.
        ending::forget(tx, &row.id)?;
        renewal::resume(tx, &row.id)?;
        let event = Event::done("resource_update", &caller, row.id.as_str())
            .in_organisation(&row.organisation)
            .related([row.service_ref().to_string(), after.service_ref().to_string()])
            .related(state.hold.iter())
            .with(json!({"from": row.service_ref(), "to": after.service_ref(), "quote": quote, "hold": state.hold}));
        let mut done = Done::with_event((), event);
        done.jobs.extend(crate::credits::after(&env, &row.organisation, &row.provider, state.quote.as_ref()));
        for held in hold::of_resource(tx, &row.id)? {
            if Some(&held.id) != state.hold.as_ref() && (state.hold.is_some() || state.free) {
                let stopped = renewal::stop(tx, &env, &held)?;
                done.absorb(stopped);
            }
        }
        Ok(done)
    })
    .await
    .map_err(|e| StepError::of(&e))
}
