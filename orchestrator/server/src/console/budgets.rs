//! The forms of `/limits` by which a person plans a budget, changes it, or takes it away.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{BudgetSet as Plan, CapRead};
use purser_authority::{Attempt, Caller, Denied, Facts, Role, authorise};
use purser_db::Tx;
use purser_identity::session::Session;
use purser_provisioning::perform;
use purser_spend::Percent;
use purser_spend::budget::{self, Action, BudgetError, BudgetSet, BudgetView};
use purser_spend::calendar::Period;
use purser_spend::ceiling::{self, Scope};
use purser_values::id::{BudgetId, OrganisationId};
use purser_values::money::MoneyError;
use purser_values::{Currency, Money};
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use crate::front::Front;

/// A budget as the page shows it.
pub struct BudgetRow {
    pub id: String,
    pub over: String,
    pub when: String,
    pub amount: Money,
    pub spent: Money,
    pub percent: i64,
    pub forecast: Option<Money>,
    pub thresholds: String,
    pub does: &'static str,
    pub act_at: Percent,
    pub acts: bool,
}

impl BudgetRow {
    pub fn of(view: BudgetView) -> Self {
        let budget = view.budget;
        let over = match budget.scope {
            Scope::Organisation => "the organisation".to_owned(),
            scope => format!("the {} {}", scope.name(), budget.subject),
        };
        Self {
            id: budget.id.to_string(),
            over,
            when: if budget.period == Period::Lifetime { "for ever".to_owned() } else { format!("a {} ({})", budget.period, view.span) },
            amount: budget.amount,
            spent: view.spent,
            percent: view.spent_percent,
            forecast: view.forecast,
            thresholds: budget.thresholds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            does: match budget.action {
                Action::Notify => "tells you",
                Action::RequireApproval => "lets each purchase wait for your yes",
                Action::Freeze => "freezes the agent, and lets each purchase wait for your yes",
            },
            act_at: budget.act_at,
            acts: view.acts,
        }
    }
}

/// The ceilings and budgets that hold beside whatever is granted, a line each.
pub async fn standing(front: &Front, session: &Session) -> Result<Vec<String>, PageError> {
    let (caller, env) = (session.caller(), front.realm.env.clone());
    let permit = authorise::<CapRead>(&caller, &Facts::new(env.now(), "limits"))?;
    let organisation = session.member.organisation.id.clone();
    let read = move |tx: &mut Tx<'_>| -> Result<Vec<String>, BudgetError> {
        let ceilings = ceiling::all(tx, &env, &permit, &organisation)?;
        let budgets = budget::all(tx, &env, &permit, &organisation)?;
        let ceilings = ceilings.iter().map(|view| format!("Never more than {}: {} left", view.rule, view.left));
        let budgets = budgets.into_iter().map(BudgetRow::of).map(|row| {
            format!("Budget of {} {} for {}: {} % spent; at {} % it {}", row.amount, row.when, row.over, row.percent, row.act_at, row.does)
        });
        Ok(ceilings.chain(budgets).collect())
    };
    Ok(front.core.db.read(read).await?)
}

/// Whether the role plans budgets and keeps webhooks.
pub const fn may_plan(caller: &Caller) -> bool {
    matches!(caller, Caller::Person { role: Role::Owner | Role::Admin | Role::Billing, .. })
}

#[derive(Deserialize)]
pub struct Planned {
    scope: String,
    /// Empty for the organisation.
    #[serde(default)]
    subject: String,
    period: String,
    amount: String,
    currency: String,
    thresholds: String,
    action: String,
    act_at: String,
    /// A box that is not ticked is not sent.
    unusual: Option<String>,
}

pub async fn post(State(front): State<Front>, signed: SignedForm<Planned>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (caller, env) = (session.caller(), front.realm.env.clone());
    let organisation = caller.organisation().ok_or(Denied::NotFound)?.clone();
    let wanted = read(&form, &organisation)?;
    let set = perform(&front.core, Attempt::new("budget_set", &caller, organisation.as_str()), move |tx| {
        let permit = authorise::<Plan>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        budget::set(tx, &env, &permit, &wanted)
    });
    set.await.map_err(|e: BudgetError| PageError::from(e))?;
    Ok(back())
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn remove(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: BudgetId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, env) = (signed.session.caller(), front.realm.env.clone());
    let organisation = caller.organisation().ok_or(Denied::NotFound)?.clone();
    let removed = perform(&front.core, Attempt::new("budget_set", &caller, id.as_str()), move |tx| {
        let permit = authorise::<Plan>(&caller, &Facts::new(env.now(), id.as_str()))?;
        budget::remove(tx, &env, &permit, &organisation, &id)
    });
    removed.await.map_err(|e: BudgetError| PageError::from(e))?;
    Ok(back())
}

fn read(form: &Planned, organisation: &OrganisationId) -> Result<BudgetSet, PageError> {
    let bad = |code: &str, text: String, hint: &str| PageError::new(StatusCode::BAD_REQUEST, code, &text).hint(hint);
    let amount = |e: MoneyError| bad("budget_amount", e.to_string(), "give an amount such as `100.00`");
    let percents = || {
        bad(
            "budget_thresholds",
            "a threshold is a number of percent".to_owned(),
            "give numbers such as `50, 66.5, 100`, with at most two decimals",
        )
    };
    let currency: Currency = form.currency.trim().parse().map_err(amount)?;
    let thresholds = form.thresholds.split(',').map(|part| part.trim().parse::<Percent>());
    Ok(BudgetSet {
        organisation: organisation.clone(),
        scope: form.scope.parse::<Scope>().map_err(|_| PageError::not_found())?,
        subject: form.subject.clone(),
        period: form.period.parse::<Period>().map_err(|_| PageError::not_found())?,
        amount: Money::parse_decimal(form.amount.trim(), currency).map_err(amount)?,
        thresholds: thresholds.collect::<Result<_, _>>().map_err(|_| percents())?,
        action: form.action.parse::<Action>().map_err(|_| PageError::not_found())?,
        act_at: form.act_at.trim().parse().map_err(|_| percents())?,
        unusual: form.unusual.is_some(),
    })
}

fn back() -> Response {
    Redirect::to("/limits#budgets").into_response()
}
