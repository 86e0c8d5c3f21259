//! What follows a freeze or a thaw: every provider is told, and those that do not confirm are named.
//!
//! The write that freezes stops the agent's tokens, money and new steps at once: each of them reads the state in its own
//! write. The credentials at providers are disabled by calls that follow; a provider that does not confirm is named and asked
//! again until it does. Thawing restores the same values.

use std::time::Duration;

use purser_authority::{Attempt, Caller};
use purser_client::ControlError;
use purser_db::DbError;
use purser_db::jobs::JobFailure;
use purser_flow::StepError;
use purser_identity::agent::{self, FreezeError, Standing};
use purser_identity::grant;
use purser_values::Timestamp;
use purser_values::id::AgentId;
use purser_values::name::ProviderName;
use purser_wire::control::AccountControl;
use purser_wire::resource::AgentRef;
use serde::Serialize;

use crate::account;
use crate::agent_control::agent_freeze;
use crate::app::App;
use crate::perform;
use crate::store::control;

/// How long a freeze waits for providers before it answers with who has not confirmed.
const CONFIRM_WITHIN: Duration = Duration::from_millis(800);

/// What stopped, and what is not confirmed yet.
#[derive(Clone, Debug, Serialize)]
pub struct Controlled {
    pub agent: AgentId,
    pub frozen_at: Timestamp,
    /// Providers that have confirmed.
    pub confirmed: Vec<ProviderName>,
    /// Providers that have not; they are asked again until they do.
    pub not_confirmed: Vec<ProviderName>,
    /// Where `dark` was asked for and sites stay live, because other agents share the account.
    pub not_dark: Vec<ProviderName>,
}

/// Freezes the agent and waits a moment for the providers. `dark` also takes its live sites off the net.
///
/// # Errors
/// When the caller may not, or there is no such agent in its organisation.
pub async fn freeze_and_confirm(app: &App, caller: &Caller, id: AgentId, dark: bool) -> Result<Controlled, FreezeError> {
    let (env, caller_in, of) = (app.core.env.clone(), caller.clone(), id.clone());
    let attempt = Attempt::new("agent_freeze", caller, id.as_str());
    let frozen = perform(&app.core, attempt, move |tx| agent_freeze(tx, &env, &caller_in, &of, dark)).await?;
    let mut controlled = confirm(app, id.clone(), frozen.frozen_at).await?;
    if dark {
        let organisation = frozen.agent.organisation;
        let names: Vec<ProviderName> = controlled.confirmed.iter().chain(&controlled.not_confirmed).cloned().collect();
        let shared = app.core.db.read::<_, DbError, _>(move |tx| {
            let looked = names.into_iter().map(|name| Ok((control::is_shared(tx, &organisation, &name, &id)?, name)));
            looked.collect::<Result<Vec<_>, DbError>>()
        });
        controlled.not_dark = shared.await?.into_iter().filter_map(|(shared, name)| shared.then_some(name)).collect();
    }
    Ok(controlled)
}

/// Looks until every provider has confirmed, for the agent and its helpers, or the time is up. The jobs do the telling.
async fn confirm(app: &App, id: AgentId, frozen_at: Timestamp) -> Result<Controlled, FreezeError> {
    let deadline = tokio::time::Instant::now() + CONFIRM_WITHIN;
    loop {
        let of = id.clone();
        let controls = app.core.db.read::<_, DbError, _>(move |tx| {
            let mut all = control::of_agent(tx, &of)?;
            for helper in grant::agents_below(tx, &of)? {
                all.extend(control::of_agent(tx, &helper)?);
            }
            Ok(all)
        });
        let controls = controls.await?;
        let (confirmed, not_confirmed): (Vec<_>, Vec<_>) = controls.into_iter().partition(control::Control::is_confirmed);
        if not_confirmed.is_empty() || tokio::time::Instant::now() >= deadline {
            let not_confirmed = names(not_confirmed);
            let mut confirmed = names(confirmed);
            confirmed.retain(|name| !not_confirmed.contains(name));
            return Ok(Controlled { agent: id, frozen_at, confirmed, not_confirmed, not_dark: Vec::new() });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Each provider once.
fn names(controls: Vec<control::Control>) -> Vec<ProviderName> {
    let names: std::collections::BTreeSet<_> = controls.into_iter().map(|c| c.provider).collect();
    names.into_iter().collect()
}

/// The job: tells one provider what is wanted of one agent's credentials now, whatever was wanted when it was enqueued.
pub async fn run_job(app: App, agent: AgentId, provider_name: ProviderName) -> Result<(), JobFailure> {
    let again = |why: String| JobFailure::Again { why, limit: None };
    let _in_order = app.lock_control(&agent, &provider_name).await.map_err(|e| again(e.to_string()))?;
    let (of, name) = (agent.clone(), provider_name.clone());
    let (control, organisation, jkt, dark, shared) = app
        .core
        .db
        .read::<_, DbError, _>(move |tx| {
            let control = control::of_agent(tx, &of)?.into_iter().find(|c| c.provider == name);
            let agent = agent::find(tx, &of)?.ok_or(DbError::NoRow)?;
            let dark = matches!(agent.standing, Standing::Frozen { dark: true, .. });
            let shared = control::is_shared(tx, &agent.organisation, &name, &of)?;
            Ok((control, agent.organisation, agent.jkt, dark, shared))
        })
        .await
        .map_err(|e| again(e.to_string()))?;
    let Some(control) = control else { return Ok(()) };
    if control.is_confirmed() {
        return Ok(());
    }
    let provider = app.gateway.get(&provider_name).ok_or_else(|| again("the provider has not answered since the start".to_owned()))?;
    let access = account::access(&app, &provider, &organisation).await.map_err(|e| match e {
        StepError::Transient { why, .. } => again(why),
        StepError::Waiting { .. } => again("a person has to link the account again".to_owned()),
        StepError::Permanent(failure) => again(failure.message),
    })?;
    let Some(access) = access else {
        // Without an account there are no credentials. A resource that is being made looks again when it is there.
        let now = app.core.env.now();
        let confirmed = app.core.db.write::<_, DbError, _>(move |tx| control::confirmed(tx, &agent, &provider_name, &control, now)).await;
        return confirmed.map_err(|e| again(e.to_string()));
    };
    let reference = AgentRef { id: agent.as_str().parse().map_err(|e| again(format!("{e}")))?, jkt: Some(jkt), grant: None };
    let client = &provider.client;
    // Going dark is the account's: it is done where the account is this agent's alone, so that nobody else goes dark with it.
    let order = Some(control.order);
    let told = match (control.wanted == "disabled", shared) {
        (true, false) if dark => match client.credentials_disable(&access, &reference, order).await {
            Ok(_) => client.account_freeze(&access, AccountControl { dark, order }).await,
            Err(e) => Err(e),
        },
        (true, _) => client.credentials_disable(&access, &reference, order).await.map(drop),
        (false, false) => match client.account_thaw(&access, order).await {
            Ok(()) => client.credentials_enable(&access, &reference, order).await.map(drop),
            Err(e) => Err(e),
        },
        (false, true) => client.credentials_enable(&access, &reference, order).await.map(drop),
    };
    let (now, answer) = (app.core.env.now(), told.clone());
    let still_wanted = app
        .core
        .db
        .write::<_, DbError, _>(move |tx| {
            match &answer {
                Ok(()) => control::confirmed(tx, &agent, &provider_name, &control, now)?,
                Err(ControlError::Superseded { by }) => control::outrun(tx, &agent, &provider_name, control.order, *by, now)?,
                Err(ControlError::Call(e)) => control::failed(tx, &agent, &provider_name, &e.to_string())?,
            }
            let after = control::of_agent(tx, &agent)?.into_iter().find(|c| c.provider == provider_name);
            Ok(after.is_none_or(|c| c.order == control.order))
        })
        .await
        .map_err(|e| again(e.to_string()))?;
    told.map_err(|e| again(e.to_string()))?;
    // The person changed their mind while the provider was being told: tell it again.
    if still_wanted { Ok(()) } else { Err(again("another state is wanted now".to_owned())) }
}
