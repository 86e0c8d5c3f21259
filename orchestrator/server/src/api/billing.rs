//! `GET /v1/billing`: all that limits spending, and what is left of it: caps, ceilings, budgets, and the card that pays.

use axum::Json;
use axum::extract::State;
use purser_authority::action::{AgentRead, CapRead, PaymentMethodRead};
use purser_authority::{Caller, Denied, authorise};
use purser_db::{DbError, Tx};
use purser_http::Problem;
use purser_identity::CallContext;
use purser_identity::agent::agents_list;
use purser_spend::Spender;
use purser_spend::budget::{self, BudgetError};
use purser_spend::cap::{self, CapError, CapView};
use purser_spend::{ceiling, method};
use purser_values::Env;
use purser_values::id::{AgentId, OrganisationId};
use purser_values::name::ProviderName;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::ceilings::reaches;

pub async fn read(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let credits = super::credits::all(&api, &called).await.map(|all| all["balances"].clone());
    let credits = credits.unwrap_or_else(|_| json!([]));
    let (context, env, providers) = (called.context, api.app.core.env.clone(), api.app.gateway.names());
    let url = api.app.page("/limits");
    let found = api.app.core.db.read::<_, BudgetError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<CapRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let mut ceilings = ceiling::all(tx, &env, &permit, &organisation)?;
        ceilings.retain(|view| reaches(&context, view.rule.scope, &view.rule.subject));
        let mut budgets = budget::all(tx, &env, &permit, &organisation)?;
        budgets.retain(|view| reaches(&context, view.budget.scope, &view.budget.subject));
        let zone = ceiling::zone(tx, &organisation)?.name().to_owned();
        let month = env.now().month().to_string();
        let caps = caps(tx, &env, &context, &organisation, &providers)?;
        Ok(json!({
            "month": month, "caps": caps, "ceilings": ceilings, "zone": zone, "budgets": budgets,
            "payment_method": card(tx, &context, &organisation, &env)?, "url": url,
        }))
    });
    let mut found = found.await?;
    found["credits"] = credits;
    Ok(Json(found))
}

/// An agent's own caps; a person's agents' caps, with their names.
fn caps(
    tx: &mut Tx<'_>,
    env: &Env,
    context: &CallContext,
    organisation: &OrganisationId,
    providers: &[ProviderName],
) -> Result<Vec<Value>, BudgetError> {
    let mut agents: Vec<(AgentId, Option<String>)> = Vec::new();
    match &context.caller {
        Caller::Agent { agent, .. } => agents.push((agent.clone(), None)),
        caller => {
            let listing = authorise::<AgentRead>(caller, &context.facts(env.now(), organisation.as_str()))?;
            agents.extend(agents_list(tx, &listing)?.into_iter().map(|known| (known.agent.id, Some(known.agent.name.to_string()))));
        }
    }
    let mut all = Vec::new();
    for (agent, name) in agents {
        let permit = authorise::<CapRead>(&context.caller, &context.facts(env.now(), agent.as_str()))?;
        let spender = Spender { organisation: organisation.clone(), agent };
        for view in cap::read(tx, &permit, &spender, providers, env.now().month()).map_err(of_cap)? {
            all.push(named(&view, name.as_deref()));
        }
    }
    Ok(all)
}

fn named(view: &CapView, name: Option<&str>) -> Value {
    let mut value = json!(view);
    value["agent_name"] = json!(name);
    value
}

/// Reading caps fails in no way of its own.
fn of_cap(e: CapError) -> BudgetError {
    match e {
        CapError::Denied(e) => e.into(),
        CapError::Store(e) => e.into(),
        other => DbError::Other(other.to_string()).into(),
    }
}

/// What pays, as people know it; an agent learns nothing of it.
fn card(tx: &mut Tx<'_>, context: &CallContext, organisation: &OrganisationId, env: &Env) -> Result<Value, BudgetError> {
    if authorise::<PaymentMethodRead>(&context.caller, &context.facts(env.now(), organisation.as_str())).is_err() {
        return Ok(Value::Null);
    }
    let current = method::current(tx, organisation)?;
    Ok(current.map_or(Value::Null, |card| json!({"brand": card.brand, "last4": card.last4, "state": card.state.name()})))
}
