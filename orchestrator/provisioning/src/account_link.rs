//! `account_link`: get the organisation's account at a provider before anything is bought there, and answer what a provider wants to
//! know first. A saga of one step, so that the wait for a person outlives the request.

use purser_authority::action::AccountLink;
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome, authorise};
use purser_db::Tx;
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::standing;
use purser_values::id::{AccountId, SagaId};
use purser_values::name::ProviderName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account;
use crate::app::App;
use crate::error::OpError;
use crate::link::{LinkError, link_inform};
use crate::perform;
use crate::resource::not_an_agent;
use crate::store::account as store;
use crate::store::link;

pub const KIND: &str = "account_link";

/// What the saga carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkState {
    pub provider: ProviderName,
    caller: Caller,
    agent_jkt: String,
    pub account: Option<AccountId>,
}

/// Begins the saga. Where the account is there already, it ends at once.
///
/// # Errors
/// When the caller may not, or there is no such provider.
pub async fn account_link(app: &App, caller: &Caller, agent_jkt: &str, provider: ProviderName) -> Result<SagaId, OpError> {
    let attempt = Attempt::new("account_link", caller, provider.as_str());
    let (app_in, caller, agent_jkt) = (app.clone(), caller.clone(), agent_jkt.to_owned());
    perform(&app.core, attempt, move |tx| {
        let (app, now) = (&app_in, app_in.core.env.now());
        let Caller::Agent { organisation, .. } = &caller else {
            return Err(not_an_agent::<AccountLink>(&caller, &Facts::new(now, provider.as_str())));
        };
        if !app.gateway.is_configured(&provider) {
            return Err(OpError::ProviderUnknown(provider.clone()));
        }
        let standing = standing(tx, now, &caller)?;
        let facts = Facts { provider: Some(&provider), ..standing.facts(now, provider.as_str()) };
        let permit = authorise::<AccountLink>(&caller, &facts)?;
        let saga = SagaId::mint(&app.core.env);
        let state = LinkState { provider: provider.clone(), caller: caller.clone(), agent_jkt: agent_jkt.clone(), account: None };
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, &app.core.env, &saga, KIND, organisation.as_str(), &state)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), provider.as_str()).related([saga.as_str()]);
        Ok(Done::with_event(saga, event))
    })
    .await
}

/// Answers what the provider wants to know about the organisation's account, when it wants to.
///
/// # Errors
/// As [`link_inform`].
pub async fn account_inform(app: &App, caller: &Caller, provider: ProviderName, information: Map<String, Value>) -> Result<(), LinkError> {
    let attempt = Attempt::new("account_link", caller, provider.as_str());
    let (env, keyring, caller) = (app.core.env.clone(), app.core.keyring.clone(), caller.clone());
    let work = move |tx: &mut Tx<'_>| {
        let organisation = caller.organisation().ok_or(LinkError::NotAsked)?;
        let row = store::find(tx, organisation, &provider)?.ok_or(LinkError::NotAsked)?;
        link::find(tx, &row.id)?.ok_or(LinkError::NotAsked)?;
        link_inform(tx, &env, &keyring, &caller, &row.request, &information)
    };
    perform(&app.core, attempt, work).await
}

pub fn definition(app: &App) -> Definition<LinkState> {
    let app = app.clone();
    Definition { kind: KIND, steps: vec![Step::new("account", move |cx, state| open(app.clone(), cx, state))] }
}

async fn open(app: App, cx: StepCx, mut state: LinkState) -> Result<LinkState, StepError> {
    let provider = app.gateway.get(&state.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    state.account = Some(account::ensure(&app, &cx, &state.caller, &state.agent_jkt, &provider).await?.id);
    Ok(state)
}

/// Whether the saga is this agent's own.
pub fn is_of(record: &purser_flow::Record, caller: &Caller) -> bool {
    let state: Result<LinkState, _> = serde_json::from_str(&record.state);
    record.kind == KIND && state.is_ok_and(|state| state.caller.agent() == caller.agent())
}
