//! The saga behind `resource_add`: account → quote → pay → create → settle.
//!
//! Each step mints its permit anew, so a freeze in the middle is honoured: the saga turns round and its undo runs as the
//! system. Money is held before the provider is asked to create anything, and the provider's charge is the only way it moves. What was
//! charged before the saga turned round comes back as a refund, or is named as owed.

use std::collections::BTreeMap;

use purser_authority::{Attempt, Caller, Delegator, Denied, Done, Event, Outcome};
use purser_catalogue::Price;
use purser_db::{DbError, Tx};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_spend::limits::REFUND_PATIENCE_S;
use purser_spend::refund::due;
use purser_spend::{hold, seller};
use purser_values::error::Kind;
use purser_values::id::{AccountId, AgentId, ApprovalId, GrantId, HoldId, OrganisationId, PersonId, ResourceId};
use purser_values::{Env, Secret};
use purser_vault::DeliverError;
use purser_wire::catalog::Period;
use purser_wire::id::IdempotencyKey;
use purser_wire::limits::APPROVED_LINE;
use purser_wire::manifest::Extension;
use purser_wire::quote::{Quote, QuoteLine};
use purser_wire::resource::{AgentRef, CreateResource, Endpoint, ResourceState};
use serde::{Deserialize, Serialize};

use super::bought::{Bought, credentials, for_the_bank, permit};
use super::inform::{self, Answered};
use super::quoted::{check, final_for_us, parties, quote_request, said};
use crate::account;
use crate::agent_control::follow_created;
use crate::app::App;
use crate::error::{OpError, PayError};
use crate::fault::{of_call, permanent, refused};
use crate::gateway::Provider;
use crate::store::information;
use crate::store::payment;
use crate::store::resource::{self, Resource, State};
use crate::{perform, seller_token};

pub const KIND: &str = "resource_add";

/// Time between two looks at a resource that the provider is still making, in milliseconds.
const POLL_MS: u64 = 300;

/// What the saga carries from step to step. It holds no secret in plain text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddState {
    pub resource: ResourceId,
    caller: CallerState,
    agent_jkt: String,
    /// The catalogue's price when there is something to pay.
    price: Option<Price>,
    /// What kind of service it is, as the catalogue listed it when the agent asked.
    #[serde(default)]
    pub categories: Vec<String>,
    /// The approval that was used for it.
    #[serde(default)]
    approval: Option<ApprovalId>,
    account: Option<AccountId>,
    quote: Option<Quote>,
    hold: Option<HoldId>,
    /// The payment token, sealed for this resource.
    payment_token: Option<String>,
    pub endpoints: Vec<Endpoint>,
    pub variables: Vec<String>,
}

/// The agent and its grant, without the enum: an add is always an agent's.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CallerState {
    organisation: OrganisationId,
    person: PersonId,
    agent: AgentId,
    grant: GrantId,
    #[serde(default)]
    chain: Vec<Delegator>,
}

impl AddState {
    pub fn new(resource: &Resource, caller: &Caller, agent_jkt: &str, price: Option<Price>, approval: Option<ApprovalId>) -> Self {
        Self {
            resource: resource.id.clone(),
            caller: CallerState {
                organisation: resource.organisation.clone(),
                person: resource.person.clone(),
                agent: resource.agent.clone(),
                grant: resource.grant.clone(),
                chain: caller.chain().to_vec(),
            },
            agent_jkt: agent_jkt.to_owned(),
            price,
            categories: Vec::new(),
            approval,
            account: None,
            quote: None,
            hold: None,
            payment_token: None,
            endpoints: Vec::new(),
            variables: Vec::new(),
        }
    }

    fn caller(&self) -> Caller {
        let CallerState { organisation, person, agent, grant, chain } = self.caller.clone();
        Caller::Agent { agent, grant, on_behalf_of: person, organisation, chain }
    }
}

/// The saga over the parts of this process.
pub fn definition(app: &App) -> Definition<AddState> {
    let step = |run: fn(App, StepCx, AddState) -> Running| {
        let app = app.clone();
        move |cx: StepCx, state: AddState| run(app.clone(), cx, state)
    };
    Definition {
        kind: KIND,
        steps: vec![
            // The first step's undo ends the resource: whatever fails, its name is free again.
            Step::new("account", step(|a, c, s| Box::pin(open_account(a, c, s)))).undo(step(|a, c, s| Box::pin(give_up(a, c, s)))),
            Step::new("quote", step(|a, c, s| Box::pin(get_quote(a, c, s)))),
            Step::new("pay", step(|a, c, s| Box::pin(pay(a, c, s)))).undo(step(|a, c, s| Box::pin(repaid(a, c, s)))),
            Step::new("create", step(|a, c, s| Box::pin(create(a, c, s)))).undo(step(|a, c, s| Box::pin(uncreate(a, c, s)))),
            Step::new("settle", step(|a, c, s| Box::pin(settle(a, c, s)))),
        ],
    }
}

type Running = std::pin::Pin<Box<dyn Future<Output = Result<AddState, StepError>> + Send>>;

/// The row and the provider that every step needs.
async fn parts(app: &App, state: &AddState) -> Result<(Resource, std::sync::Arc<Provider>), StepError> {
    let row = super::resource_row(app, &state.resource).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    Ok((row, provider))
}

async fn open_account(app: App, cx: StepCx, mut state: AddState) -> Result<AddState, StepError> {
    let (row, provider) = parts(&app, &state).await?;
    let opened = account::ensure(&app, &cx, &state.caller(), &state.agent_jkt, &provider).await?;
    // A credit that was approved and waited for the account is there for the first purchase already.
    crate::credits::redeem_waiting(&app, &row.organisation, &provider, &opened.access).await?;
    state.account = Some(opened.id);
    Ok(state)
}

async fn give_up(app: App, _: StepCx, state: AddState) -> Result<AddState, StepError> {
    let (id, caller, now) = (state.resource.clone(), state.caller(), app.core.env.now());
    perform(&app.core, Attempt::new("resource_add", &Caller::System, id.as_str()), move |tx| -> Result<Done<()>, OpError> {
        resource::ended(tx, &id, State::Failed, now)?;
        information::forget(tx, &id)?;
        let event = Event::new("resource_add", Outcome::Failed("undone".to_owned()), &Caller::System, id.as_str());
        let organisation = caller.organisation().ok_or(Denied::NotFound)?;
        Ok(Done::with_event((), event.in_organisation(organisation).related(caller.agent())))
    })
    .await
    .map_err(StepError::transient)?;
    Ok(state)
}

async fn get_quote(app: App, cx: StepCx, mut state: AddState) -> Result<AddState, StepError> {
    let Some(price) = &state.price else { return Ok(state) };
    let (row, provider) = parts(&app, &state).await?;
    let opened = account::ensure(&app, &cx, &state.caller(), &state.agent_jkt, &provider).await?;
    let request = quote_request(&row, parties(&app, &row, &provider).await?)?;
    let quote = match &state.approval {
        // Its price is prose, and it quotes nothing either: the quote is what the person said that it may cost at most.
        Some(approval) if !provider.manifest.speaks(&Extension::Quotes) => said(&app, approval, &request, price)?,
        _ => provider.client.quote_create(&opened.access, &request).await.map_err(|e| of_call(&cx, &e))?,
    };
    check(price, &quote)?;
    state.quote = Some(quote);
    Ok(state)
}

/// Sets the money aside and makes the provider's permission to take it, in one write.
async fn pay(app: App, _: StepCx, mut state: AddState) -> Result<AddState, StepError> {
    let Some(quote) = state.quote.clone() else { return Ok(state) };
    let (row, provider) = parts(&app, &state).await?;
    let bought = Bought {
        app: app.clone(),
        caller: state.caller(),
        row: row.clone(),
        quote,
        key: state.resource.to_string(),
        approval: state.approval.clone(),
        categories: state.categories.clone(),
    };
    let (hold, sealed) = bought.pay().await?;
    let seller = provider.manifest.sells_for_itself();
    let sealed = match seller_token::instead(&app, &state.caller(), &row, &hold, seller).await? {
        Some(of_the_rail) => of_the_rail,
        None => sealed,
    };
    state.hold = Some(hold);
    state.payment_token = Some(sealed);
    Ok(state)
}

/// Gives back what was held, and writes down that what was charged is to come back.
async fn unpay(app: App, _: StepCx, mut state: AddState) -> Result<AddState, StepError> {
    let row = super::resource_row(&app, &state.resource).await?;
    // A provider that cannot give back has nothing to be waited for: it owes at once. One that is away keeps nobody's hold.
    let waits = app.gateway.get(&row.provider).is_none_or(|provider| refunds(&provider));
    let patience_s = if waits { REFUND_PATIENCE_S } else { 0 };
    let (id, env, caller) = (state.resource.clone(), app.core.env.clone(), Caller::System);
    perform(&app.core, Attempt::new("hold_release", &Caller::System, id.as_str()), move |tx| -> Result<Done<()>, PayError> {
        let mut done = Done::quiet(());
        for hold in hold::of_resource(tx, &id)? {
            let released = hold::release(tx, &env, &caller, &hold.id)?;
            done.absorb(released);
            let expected = due::expect(tx, &env, &hold, env.now().plus_secs(patience_s))?;
            done.absorb(expected);
        }
        payment::forget(tx, &id)?;
        Ok(done)
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    state.payment_token = None;
    Ok(state)
}

/// The end of the money's undo: waits for what was charged to come back, within bounds. What does not is a dispute, by name.
async fn repaid(app: App, cx: StepCx, state: AddState) -> Result<AddState, StepError> {
    let state = unpay(app.clone(), cx, state).await?;
    let id = state.resource.clone();
    let until = app.core.db.read(move |tx| due::awaited_until(tx, &id)).await.map_err(StepError::transient)?;
    match until {
        None => Ok(state),
        Some(until) if app.core.env.now() < until => {
            Err(StepError::Transient { why: "the provider has not given the money back yet".to_owned(), after_ms: Some(POLL_MS) })
        }
        Some(_) => {
            let env = app.core.env.clone();
            let attempt = Attempt::new("refund_dispute", &Caller::System, state.resource.as_str());
            perform(&app.core, attempt, move |tx| due::overdue(tx, &env)).await.map_err(StepError::transient)?;
            Ok(state)
        }
    }
}

/// Whether the provider can give back what it charged.
fn refunds(provider: &Provider) -> bool {
    provider.manifest.speaks(&Extension::Refunds)
}

async fn create(app: App, cx: StepCx, mut state: AddState) -> Result<AddState, StepError> {
    let (row, provider) = parts(&app, &state).await?;
    let caller = state.caller();
    // The last look before the provider acts: a freeze since the money was held stops here.
    let (app_in, look_caller, look_row) = (app.clone(), caller.clone(), row.clone());
    app.core.db.read(move |tx| permit(tx, &app_in, &look_caller, &look_row).map(drop)).await.map_err(|e| StepError::of(&e))?;
    // The provider is not asked again before the person has been at their bank.
    if let Some(hold) = &state.hold
        && let Some(waiting) = for_the_bank(&app, hold, &row).await?
    {
        return Err(waiting);
    }
    let answered = inform::answered(&app, &row).await?;
    let opened = account::ensure(&app, &cx, &caller, &state.agent_jkt, &provider).await?;
    let envelope = match &row.provider_resource {
        Some(id) => {
            let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
            provider.client.resource_get(&opened.access, &id).await
        }
        None => {
            let (request, key) = create_request(&app, &cx, &row, &state, answered.as_ref())?;
            provider.client.resource_create(&opened.access, &request, &key).await
        }
    };
    let envelope = envelope.map_err(|e| of_call(&cx, &e))?;
    if let (ResourceState::NeedsInformation { schema }, None) = (&envelope.state, &row.provider_resource) {
        return Err(inform::asks(&app, &row, schema.clone(), state.quote.as_ref().map(|quote| quote.expires_at)).await);
    }
    let Some(provider_resource) = envelope.id.as_ref().map(ToString::to_string) else {
        return Err(of_state(&envelope.state));
    };
    let values = match envelope.state {
        ResourceState::Complete { access_configuration, .. } => access_configuration.unwrap_or_default().0,
        ResourceState::Pending => {
            note_created(&app, &row, &opened.id, &provider_resource).await?;
            return Err(StepError::Transient { why: "the provider is still making it".to_owned(), after_ms: Some(POLL_MS) });
        }
        other => return Err(of_state(&other)),
    };
    state.variables = match keep_created(&app, &row, &opened.id, &provider_resource, values).await {
        Ok(variables) => variables,
        Err(e) => {
            // Whatever is wrong with the credentials, the undo knows what to remove.
            note_created(&app, &row, &opened.id, &provider_resource).await?;
            return Err(StepError::of(&e));
        }
    };
    state.endpoints = envelope.endpoints;
    Ok(state)
}

/// The order and its key. With an answer of the person it is another request than without, so it has a key of its own.
fn create_request(
    app: &App,
    cx: &StepCx,
    row: &Resource,
    state: &AddState,
    answered: Option<&Answered>,
) -> Result<(CreateResource, IdempotencyKey), StepError> {
    let unusable = |e: &dyn std::fmt::Display| permanent("request_unusable", Kind::Internal, e.to_string(), None);
    let mut request = CreateResource::new(
        row.service.as_str().parse().map_err(|e| unusable(&e))?,
        row.configuration.as_object().cloned().unwrap_or_default(),
    );
    request.project_id = Some(row.project.as_str().parse().map_err(|e| unusable(&e))?);
    request.orchestrator_resource_id = Some(row.id.as_str().parse().map_err(|e| unusable(&e))?);
    request.environment = Some(row.environment.to_string());
    request.agent = Some(AgentRef {
        id: row.agent.as_str().parse().map_err(|e| unusable(&e))?,
        jkt: Some(state.agent_jkt.clone()),
        grant: Some(row.grant.to_string()),
    });
    if let (Some(quote), Some(sealed)) = (&state.quote, &state.payment_token) {
        request.payment_credentials = Some(credentials(app, &row.id, sealed)?);
        request.quote_id = Some(quote.id.clone());
    }
    request.submitted_information = answered.map(|answered| answered.information.clone());
    let key = answered.map_or_else(|| cx.key(), |answered| answered.key(&cx.key()));
    Ok((request, key.parse().map_err(|e| unusable(&e))?))
}

/// The provider's id and the credentials in one write: many providers show a secret only in the answer to the create, and repeat
/// that answer for its key. A crash between two writes would leave an id to look at and no way to the secret.
async fn keep_created(
    app: &App,
    row: &Resource,
    account: &AccountId,
    provider_resource: &str,
    values: BTreeMap<String, Secret<String>>,
) -> Result<Vec<String>, DeliverError> {
    let (row, account, provider_resource) = (row.clone(), account.clone(), provider_resource.to_owned());
    let (env, keyring) = (app.core.env.clone(), app.core.keyring.clone());
    let kept = app.core.db.write(move |tx| {
        created(tx, &env, &row, &account, &provider_resource)?;
        purser_vault::deliver(tx, &env, &keyring, &super::delivery(&row), &values)
    });
    let variables = kept.await?;
    app.core.jobs.notify_one();
    Ok(variables)
}

/// The provider's id alone: for what is still being made, or must be removed again.
async fn note_created(app: &App, row: &Resource, account: &AccountId, provider_resource: &str) -> Result<(), StepError> {
    let (row, account, provider_resource, env) = (row.clone(), account.clone(), provider_resource.to_owned(), app.core.env.clone());
    app.core.db.write(move |tx| created(tx, &env, &row, &account, &provider_resource)).await.map_err(StepError::transient)?;
    app.core.jobs.notify_one();
    Ok(())
}

fn created(tx: &mut Tx<'_>, env: &Env, row: &Resource, account: &AccountId, provider_resource: &str) -> Result<(), DbError> {
    resource::created(tx, &row.id, account, provider_resource)?;
    if let Some(job) = follow_created(tx, env, &row.agent, &row.provider)? {
        purser_db::jobs::enqueue(tx, env, &job)?;
    }
    Ok(())
}

fn of_state(state: &ResourceState) -> StepError {
    match state {
        ResourceState::NeedsInformation { schema } => {
            let mut failure = crate::fault::failure(
                "needs_information",
                Kind::NeedsPerson,
                "the provider needs more information",
                Some("add what the schema asks for to `--config`, then repeat"),
            );
            failure.details = Some(serde_json::json!({ "schema": schema }));
            StepError::Permanent(failure)
        }
        ResourceState::Error(error) => StepError::Permanent(refused(&error.code, &error.message)),
        _ => permanent("provider_garbage", Kind::Provider, "the provider answered with a state that a new resource cannot have", None),
    }
}

/// The answer to the create may have been lost. The same request under the same key tells what was made, or makes nothing: the
/// payment token is taken back first, and a provider that already answered repeats its answer.
async fn what_came_of_it(
    app: &App,
    cx: &StepCx,
    state: &AddState,
    row: &Resource,
    provider: &Provider,
) -> Result<Option<String>, StepError> {
    let (answered, is_open) = inform::left(app, row).await?;
    let (request, key) = create_request(app, cx, row, state, answered.as_ref())?;
    unpay(app.clone(), cx.clone(), state.clone()).await?;
    if is_open {
        // Its last answer was a question, so it made nothing.
        return Ok(None);
    }
    let opened = match account::ensure(app, cx, &state.caller(), &state.agent_jkt, provider).await {
        Ok(opened) => opened,
        Err(passing @ (StepError::Transient { .. } | StepError::Waiting { .. })) => return Err(passing),
        // Without an account nothing was made in it.
        Err(StepError::Permanent(_)) => return Ok(None),
    };
    match provider.client.resource_create(&opened.access, &request, &key).await {
        Ok(envelope) => Ok(envelope.id.map(|id| id.to_string())),
        Err(e) if e.is_transient() => Err(of_call(cx, &e)),
        Err(_) => Ok(None),
    }
}

async fn uncreate(app: App, cx: StepCx, state: AddState) -> Result<AddState, StepError> {
    let (row, provider) = parts(&app, &state).await?;
    let found = match &row.provider_resource {
        Some(id) => Some(id.clone()),
        None => what_came_of_it(&app, &cx, &state, &row, &provider).await?,
    };
    // Money next: whatever the provider does from here on, it can no longer be paid for it.
    let state = unpay(app.clone(), cx.clone(), state).await?;
    if let Some(id) = &found {
        let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
        let opened = account::ensure(&app, &cx, &state.caller(), &state.agent_jkt, &provider).await?;
        let key = format!("{}/undo", cx.key())
            .parse()
            .map_err(|_| permanent("request_unusable", Kind::Internal, "the key cannot be sent", None))?;
        let removed = if refunds(&provider) {
            provider.client.resource_cancel(&opened.access, &id, &key).await
        } else {
            provider.client.resource_remove(&opened.access, &id, &key).await
        };
        match removed {
            Ok(_) => {}
            Err(e) if e.code() == Some("not_found") => {}
            Err(e) => return Err(of_call(&cx, &e)),
        }
    }
    let id = row.id.clone();
    app.core.db.write(move |tx| purser_vault::forget(tx, &id)).await.map_err(StepError::transient)?;
    Ok(state)
}

/// Makes it live, and gives back what was held and not charged.
async fn settle(app: App, _: StepCx, mut state: AddState) -> Result<AddState, StepError> {
    let (row, _) = parts(&app, &state).await?;
    let (app_in, done_state, caller) = (app.clone(), state.clone(), state.caller());
    perform(&app.core, Attempt::new("resource_add", &caller, row.id.as_str()), move |tx| -> Result<Done<()>, PayError> {
        let (app, state) = (&app_in, &done_state);
        let facts = serde_json::json!({
            "quote": state.quote.as_ref().map(|q| serde_json::json!({"id": q.id, "digest": q.digest, "total": q.total(), "irreversible": final_for_us(q)})),
            "hold": state.hold, "variables": state.variables,
        });
        resource::live(tx, &row, &state.endpoints, &facts, app.core.env.now())?;
        let mut done = Done::with_event(
            (),
            Event::done("resource_add", &caller, row.id.as_str())
                .related([row.service_ref().to_string()])
                .related(row.provider_resource.iter())
                .related(state.endpoints.iter().map(|e| &e.value))
                .related(state.hold.iter())
                .with(facts),
        );
        if let Some(hold) = &state.hold {
            // A provider that quotes nothing may charge when it has delivered; what it has not by the end of the hold, it never will.
            let later = |line: &QuoteLine| line.period != Period::Once || line.id.as_str() == APPROVED_LINE;
            // A seller that takes the money itself may do so until the hold ends; what it did is asked of the rail.
            let at_seller = seller::is_out(tx, hold)?;
            if !at_seller && !state.quote.as_ref().is_some_and(|q| q.lines.iter().any(later)) {
                let part = hold::release(tx, &app.core.env, &Caller::System, hold)?;
                done.absorb(part);
            }
        }
        payment::forget(tx, &row.id)?;
        information::forget(tx, &row.id)?;
        done.jobs.extend(crate::credits::after(&app.core.env, &row.organisation, &row.provider, state.quote.as_ref()));
        Ok(done)
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    state.payment_token = None;
    Ok(state)
}
