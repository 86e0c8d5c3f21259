//! `GET /v1/spend`: the month's position and charges; an agent sees its own.

use axum::Json;
use axum::extract::State;
use purser_authority::action::SpendRead;
use purser_authority::{Caller, Denied, authorise};
use purser_http::Problem;
use purser_http::extract::Query;
use purser_spend::statement::{StatementError, statement};
use purser_spend::{Spender, cap};
use purser_values::Month;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

#[derive(Deserialize)]
pub struct Which {
    month: Option<String>,
}

pub async fn read(State(api): State<Api>, called: Called, Query(which): Query<Which>) -> Result<Json<Value>, Problem> {
    let month = which.month.as_deref().map(str::parse).transpose().map_err(|_| Problem::invalid("`month` is written like `2026-11`"))?;
    of(&api, &called, month).await.map(Json)
}

pub(super) async fn of(api: &Api, called: &Called, month: Option<Month>) -> Result<Value, Problem> {
    let (context, env) = (called.context.clone(), api.app.core.env.clone());
    let providers = api.app.gateway.names();
    let found = api.app.core.db.read::<_, StatementError, _>(move |tx| {
        let month = month.unwrap_or_else(|| env.now().month());
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<SpendRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let mut found = statement(tx, &permit, &organisation, None, month)?;
        // A provider where nothing was spent yet has its whole cap left, and the agent should know.
        if let (Caller::Agent { agent, .. }, true) = (&context.caller, month == env.now().month()) {
            let spender = Spender { organisation: organisation.clone(), agent: agent.clone() };
            let permit = authorise::<purser_authority::action::CapRead>(&context.caller, &context.facts(env.now(), agent.as_str()))?;
            if let Ok(all) = cap::read(tx, &permit, &spender, &providers, month) {
                found.positions = all;
            }
        }
        Ok(found)
    });
    let found = found.await?;
    Ok(json!({
        "agent": called.caller().agent(), "month": found.month.to_string(), "providers": found.positions, "charges": found.charges,
        "refunds": found.refunds, "owed": found.owed,
    }))
}
