//! `/limits`: how much each agent may spend at each provider, and raising or lowering it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{AgentRead, CapRead, CapSet as CapSetAction};
use purser_authority::{Attempt, Caller, Denied, Done, Facts, Role, authorise};
use purser_db::{DbError, Tx};
use purser_http::extract::Query;
use purser_identity::agent::{self, AgentGrants, agents_list};
use purser_provisioning::perform;
use purser_spend::Spender;
use purser_spend::budget::{self, BudgetError};
use purser_spend::calendar::Period;
use purser_spend::cap::{self, CapError, CapSet, CapView};
use purser_spend::ceiling::{self, CeilingError, CeilingSet, CeilingView, Scope};
use purser_spend::rate::{self, RateError};
use purser_values::id::AgentId;
use purser_values::money::MoneyError;
use purser_values::name::ProviderName;
use purser_values::{Currency, Money};
use serde::Deserialize;

use super::budgets::{BudgetRow, may_plan};
use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::rates::{RateRow, may_state};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "limits.html")]
pub struct Limits {
    ctx: PageContext,
    month: String,
    resets_at: String,
    agents: Vec<AgentView>,
    ceilings: Vec<CeilingView>,
    zone: String,
    rates: Vec<RateRow>,
    may_state: bool,
    budgets: Vec<BudgetRow>,
    may_change: bool,
    may_plan: bool,
    ask: Ask,
    scopes: Vec<Choice>,
    periods: Vec<Choice>,
    budget_scopes: Vec<Choice>,
    budget_periods: Vec<Choice>,
    actions: Vec<Choice>,
}

/// What somebody asks the person for, filled in and not done: the address comes from an agent, perhaps.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    scope: String,
    subject: String,
    period: String,
    amount: String,
    currency: String,
    agent: String,
    provider: String,
    /// `budget`, where a budget is asked for and no ceiling.
    form: String,
    thresholds: String,
    action: String,
    act_at: String,
}

impl Ask {
    /// The amount for the cap of that agent and provider, if that is what is asked for.
    fn cap(&self, agent: &str, provider: &str) -> Option<&str> {
        (!self.amount.is_empty() && self.agent == agent && self.provider == provider).then_some(self.amount.as_str())
    }

    fn ceiling(&self) -> bool {
        !self.scope.is_empty() && !self.budget()
    }

    fn budget(&self) -> bool {
        self.form == "budget"
    }

    /// What the form of a ceiling shows: what was asked for, else what is usual.
    fn in_ceiling<'a>(&self, asked: &'a str, usual: &'a str) -> &'a str {
        if self.ceiling() && !asked.is_empty() { asked } else { usual }
    }

    /// The same of a budget.
    fn in_budget<'a>(&self, asked: &'a str, usual: &'a str) -> &'a str {
        if self.budget() && !asked.is_empty() { asked } else { usual }
    }
}

struct Choice {
    value: &'static str,
    words: &'static str,
    chosen: bool,
}

fn choices(all: &[(&'static str, &'static str)], chosen: &str) -> Vec<Choice> {
    all.iter().map(|(value, words)| Choice { value, words, chosen: *value == chosen }).collect()
}

const SCOPES: [(&str, &str); 7] = [
    ("organisation", "the organisation"),
    ("project", "a project"),
    ("environment", "an environment"),
    ("agent", "an agent"),
    ("grant", "a grant"),
    ("provider", "a provider"),
    ("category", "a category of services"),
];
const PERIODS: [(&str, &str); 5] =
    [("transaction", "each purchase"), ("day", "a day"), ("week", "a week"), ("month", "a month"), ("lifetime", "for ever")];
const BUDGET_PERIODS: [(&str, &str); 4] = [("month", "a month"), ("week", "a week"), ("day", "a day"), ("lifetime", "all time")];
const ACTIONS: [(&str, &str); 3] = [
    ("notify", "tell me"),
    ("require_approval", "let each purchase wait for my yes"),
    ("freeze", "freeze the agent, and let each purchase wait for my yes"),
];

struct AgentView {
    id: String,
    name: String,
    frozen: bool,
    /// The agent's cap at every provider without one of its own; absent until a first grant.
    cap: Option<Money>,
    rows: Vec<RowView>,
}

struct RowView {
    provider: String,
    cap: Money,
    captured: Money,
    held: Money,
    left: Money,
    own: bool,
    /// Whole percent of the cap that is spent or set aside; more than 100 after a cap was lowered.
    used_percent: i64,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(ask): Query<Ask>) -> Result<Page<Limits>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let listing = authorise::<AgentRead>(&caller, &Facts::new(now, "agents"))?;
    let reading = authorise::<CapRead>(&caller, &Facts::new(now, "limits"))?;
    let month = now.month();
    let (env, organisation) = (front.realm.env.clone(), caller.organisation().ok_or(Denied::NotFound)?.clone());
    let read = move |tx: &mut Tx<'_>| -> Result<_, BudgetError> {
        let providers: Vec<ProviderName> = purser_catalogue::providers(tx)?.into_iter().map(|listed| listed.name).collect();
        let agents = agents_list(tx, &listing)?;
        let agents = agents
            .iter()
            .map(|known| {
                let spender = Spender { organisation: known.agent.organisation.clone(), agent: known.agent.id.clone() };
                let views = cap::read(tx, &reading, &spender, &providers, month).map_err(of_cap)?;
                Ok(agent_view(known, cap::of_agent(tx, &spender)?, &views))
            })
            .collect::<Result<_, CeilingError>>()?;
        let zone = ceiling::zone(tx, &organisation)?.name().to_owned();
        let budgets = budget::all(tx, &env, &reading, &organisation)?;
        let rates = rate::all(tx, &reading, &organisation).map_err(of_rate)?.iter().map(|rate| RateRow::of(rate, now)).collect();
        Ok((agents, ceiling::all(tx, &env, &reading, &organisation)?, zone, budgets, rates))
    };
    let (agents, ceilings, zone, budgets, rates): (Vec<AgentView>, Vec<CeilingView>, String, _, _) = front.core.db.read(read).await?;
    let may_change = matches!(caller, Caller::Person { role: Role::Owner | Role::Admin, .. });
    let ctx = PageContext::of(&front, &session, "Limits");
    Ok(Page::ok(Limits {
        ctx,
        month: month.to_string(),
        resets_at: month.end().for_people(),
        agents,
        ceilings,
        zone,
        rates,
        may_state: may_state(&caller),
        budgets: budgets.into_iter().map(BudgetRow::of).collect(),
        may_change,
        may_plan: may_plan(&caller),
        scopes: choices(&SCOPES, ask.in_ceiling(&ask.scope, "organisation")),
        periods: choices(&PERIODS, ask.in_ceiling(&ask.period, "month")),
        budget_scopes: choices(&SCOPES, ask.in_budget(&ask.scope, "organisation")),
        budget_periods: choices(&BUDGET_PERIODS, ask.in_budget(&ask.period, "month")),
        actions: choices(&ACTIONS, ask.in_budget(&ask.action, "notify")),
        ask,
    }))
}

fn agent_view(known: &AgentGrants, cap: Option<Money>, views: &[CapView]) -> AgentView {
    let rows = views.iter().map(|view| RowView {
        provider: view.provider.to_string(),
        cap: view.cap,
        captured: view.captured,
        held: view.held,
        left: view.left,
        own: view.own,
        used_percent: percent(view.captured.minor().saturating_add(view.held.minor()), view.cap.minor()),
    });
    AgentView {
        id: known.agent.id.to_string(),
        name: known.agent.name.to_string(),
        frozen: known.agent.is_frozen(),
        cap,
        rows: rows.collect(),
    }
}

/// Reading caps fails in no way of its own.
fn of_cap(e: CapError) -> CeilingError {
    match e {
        CapError::Denied(e) => e.into(),
        CapError::Store(e) => e.into(),
        other => DbError::Other(other.to_string()).into(),
    }
}

/// Nor does reading rates.
fn of_rate(e: RateError) -> CeilingError {
    match e {
        RateError::Denied(e) => e.into(),
        RateError::Store(e) => e.into(),
        other => DbError::Other(other.to_string()).into(),
    }
}

/// Rounded down; all of nothing is all.
fn percent(part: i64, whole: i64) -> i64 {
    if whole == 0 { 100 } else { part.saturating_mul(100) / whole }
}

#[derive(Deserialize)]
pub struct Change {
    agent: String,
    /// Empty: the agent's cap at every provider without one of its own.
    #[serde(default)]
    provider: String,
    amount: String,
}

pub async fn post(State(front): State<Front>, signed: SignedForm<Change>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let agent: AgentId = form.agent.parse().map_err(|_| PageError::not_found())?;
    let provider: Option<ProviderName> = match form.provider.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|_| PageError::not_found())?),
    };
    let amount = Money::parse_decimal(form.amount.trim(), Currency::USD)
        .map_err(|e| PageError::new(StatusCode::BAD_REQUEST, "cap_amount", &e.to_string()).hint("give an amount such as `100.00`"))?;
    let (caller, env) = (session.caller(), front.realm.env.clone());
    perform(&front.core, Attempt::new("cap_set", &caller, agent.as_str()), move |tx| {
        let permit = agent::permit::<CapSetAction, CapError>(tx, &caller, &agent, env.now())?;
        let organisation = caller.organisation().ok_or(Denied::NotFound)?.clone();
        let spender = Spender { organisation, agent: agent.clone() };
        cap::set(tx, &env, &permit, &CapSet { spender, provider: provider.clone(), amount })
    })
    .await?;
    Ok(Redirect::to("/limits").into_response())
}

#[derive(Deserialize)]
pub struct CeilingChange {
    scope: String,
    /// Empty for the organisation.
    #[serde(default)]
    subject: String,
    period: String,
    /// Empty: no ceiling any more.
    #[serde(default)]
    amount: String,
    currency: String,
}

pub async fn ceiling_post(State(front): State<Front>, signed: SignedForm<CeilingChange>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let scope: Scope = form.scope.parse().map_err(|_| PageError::not_found())?;
    let period: Period = form.period.parse().map_err(|_| PageError::not_found())?;
    let bad =
        |e: MoneyError| PageError::new(StatusCode::BAD_REQUEST, "ceiling_amount", &e.to_string()).hint("give an amount such as `100.00`");
    let currency: Currency = form.currency.trim().parse().map_err(bad)?;
    let amount = match form.amount.trim() {
        "" => None,
        text => Some(Money::parse_decimal(text, currency).map_err(bad)?),
    };
    let (caller, env) = (session.caller(), front.realm.env.clone());
    let organisation = caller.organisation().ok_or(Denied::NotFound)?.clone();
    perform(&front.core, Attempt::new("cap_set", &caller, organisation.as_str()), move |tx| -> Result<Done<()>, CeilingError> {
        let permit = authorise::<CapSetAction>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        let set = CeilingSet { organisation: organisation.clone(), scope, subject: form.subject.clone(), period, amount };
        ceiling::set(tx, &env, &permit, &set)
    })
    .await?;
    Ok(Redirect::to("/limits#ceilings").into_response())
}

#[derive(Deserialize)]
pub struct ZoneChange {
    zone: String,
}

pub async fn zone_post(State(front): State<Front>, signed: SignedForm<ZoneChange>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (caller, env) = (session.caller(), front.realm.env.clone());
    let organisation = caller.organisation().ok_or(Denied::NotFound)?.clone();
    perform(&front.core, Attempt::new("cap_set", &caller, organisation.as_str()), move |tx| -> Result<Done<()>, CeilingError> {
        let permit = authorise::<CapSetAction>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        ceiling::zone_set(tx, &env, &permit, &organisation, form.zone.trim())
    })
    .await?;
    Ok(Redirect::to("/limits#ceilings").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_cap_is_rounded_down_and_all_of_nothing_is_all() {
        assert_eq!((percent(7_99, 10_00), percent(12, 10), percent(0, 0)), (79, 120, 100));
    }
}
