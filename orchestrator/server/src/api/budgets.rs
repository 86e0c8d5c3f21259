//! `/v1/budgets`: what people plan to spend, where that stands, and what happens at which part of it. An agent sees what concerns it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use purser_authority::action::{BudgetSet as Plan, CapRead};
use purser_authority::{Attempt, Denied, Facts, authorise};
use purser_http::Problem;
use purser_http::extract::parse_json;
use purser_provisioning::perform;
use purser_spend::Percent;
use purser_spend::budget::{self, Action, BudgetError, BudgetSet};
use purser_spend::calendar::Period;
use purser_spend::ceiling::Scope;
use purser_spend::limits::ALERT_THRESHOLDS;
use purser_values::id::BudgetId;
use purser_values::{Currency, Money};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::ceilings::reaches;
use super::people_only::refuse;

const PAGE: &str = "/limits#budgets";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    scope: Scope,
    /// Nothing for the organisation.
    #[serde(default)]
    subject: String,
    #[serde(default = "month")]
    period: Period,
    amount_minor: i64,
    #[serde(default = "usd")]
    currency: Currency,
    /// In percent.
    #[serde(default = "thresholds")]
    thresholds: Vec<Percent>,
    #[serde(default = "notify")]
    action: Action,
    #[serde(default = "all")]
    act_at: Percent,
    #[serde(default = "yes")]
    unusual: bool,
}

const fn usd() -> Currency {
    Currency::USD
}
const fn month() -> Period {
    Period::Month
}
fn thresholds() -> Vec<Percent> {
    ALERT_THRESHOLDS.to_vec()
}
const fn notify() -> Action {
    Action::Notify
}
const fn all() -> Percent {
    Percent::whole(100)
}
const fn yes() -> bool {
    true
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, env) = (called.context, api.app.core.env.clone());
    let found = api.app.core.db.read::<_, BudgetError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<CapRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let mut all = budget::all(tx, &env, &permit, &organisation)?;
        all.retain(|view| reaches(&context, view.budget.scope, &view.budget.subject));
        Ok(all)
    });
    Ok(Json(json!({ "budgets": found.await? })))
}

pub async fn set(State(api): State<Api>, called: Called, body: Bytes) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<Plan>(&api, called, PAGE).await);
    }
    let wanted: Wanted = parse_json(&body)?;
    let (caller, env) = (called.context.caller, api.app.core.env.clone());
    let organisation = caller.organisation().cloned().ok_or(Denied::Anonymous)?;
    let attempt = Attempt::new("budget_set", &caller, organisation.as_str());
    let set = perform(&api.app.core, attempt, move |tx| {
        let permit = authorise::<Plan>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        let Wanted { scope, subject, period, amount_minor, currency, thresholds, action, act_at, unusual } = &wanted;
        let plan = BudgetSet {
            organisation: organisation.clone(),
            scope: *scope,
            subject: subject.clone(),
            period: *period,
            amount: Money::from_minor(*amount_minor, *currency),
            thresholds: thresholds.clone(),
            action: *action,
            act_at: *act_at,
            unusual: *unusual,
        };
        budget::set(tx, &env, &permit, &plan)
    });
    let set = set.await.map_err(|e: BudgetError| Problem::from(e))?;
    Ok(Json(json!({ "budget": set })))
}

pub async fn remove(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<Plan>(&api, called, PAGE).await);
    }
    let id: BudgetId = id.parse().map_err(|_| Problem::from(BudgetError::Unknown))?;
    let (caller, env, of) = (called.context.caller, api.app.core.env.clone(), id.clone());
    let organisation = caller.organisation().cloned().ok_or(Denied::Anonymous)?;
    let removed = perform(&api.app.core, Attempt::new("budget_set", &caller, id.as_str()), move |tx| {
        let permit = authorise::<Plan>(&caller, &Facts::new(env.now(), of.as_str()))?;
        budget::remove(tx, &env, &permit, &organisation, &of)
    });
    removed.await.map_err(|e: BudgetError| Problem::from(e))?;
    Ok(Json(json!({ "removed": id })))
}
