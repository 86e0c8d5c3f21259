//! The budgets there are, and where they stand.

use purser_authority::Permit;
use purser_authority::action::CapRead;
use purser_db::{DbError, Tx, params};
use purser_values::id::{BudgetId, OrganisationId};
use purser_values::{Env, Money, Timestamp};
use serde::Serialize;

use super::{Budget, BudgetError, gate, watch};
use crate::ceiling;
use crate::spender;

/// A budget in the running period.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetView {
    #[serde(flatten)]
    pub budget: Budget,
    /// Which day, week or month.
    pub span: String,
    pub spent: Money,
    /// Set aside for what it covers and not charged yet; it counts when purchases wait for a person.
    pub held: Money,
    /// Rounded down.
    pub spent_percent: i64,
    /// What is spent in a day at the pace of the period so far; absent for ever.
    pub per_day: Option<Money>,
    /// What it comes to by the end of the period at that pace, with what comes again by then; absent for ever.
    pub forecast: Option<Money>,
    pub ends: Option<Timestamp>,
    /// Whether what it covers waits for a person's yes now.
    pub acts: bool,
}

/// The organisation's budgets; an agent sees those over everybody, and its own.
///
/// # Errors
/// When the caller is of another organisation, or the store fails.
pub fn all(tx: &mut Tx<'_>, env: &Env, permit: &Permit<CapRead>, organisation: &OrganisationId) -> Result<Vec<BudgetView>, BudgetError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let mut views = Vec::new();
    for budget in of_organisation(tx, organisation)? {
        if ceiling::concerns(permit.caller(), budget.scope, &budget.subject) {
            views.push(view(tx, env, budget)?);
        }
    }
    Ok(views)
}

fn view(tx: &mut Tx<'_>, env: &Env, budget: Budget) -> Result<BudgetView, DbError> {
    let span = budget.span(tx, env.now())?;
    let spent = spent(tx, &budget.id, &span.name)?;
    let held = gate::held(tx, &budget, &span)?;
    let pace = watch::pace(tx, &budget, &span, env.now())?;
    let percent = i128::from(spent) * 100 / i128::from(budget.amount.minor().max(1));
    Ok(BudgetView {
        span: span.name,
        spent: budget.money(spent),
        held: budget.money(held),
        spent_percent: i64::try_from(percent).unwrap_or(i64::MAX),
        per_day: pace.as_ref().map(|pace| budget.money(pace.per_day())),
        forecast: pace.as_ref().map(|pace| budget.money(super::forecast(pace))),
        ends: span.ends,
        acts: budget.action != super::Action::Notify && budget.act_at.is_reached(spent.saturating_add(held), budget.amount),
        budget,
    })
}

pub(super) fn of_organisation(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Budget>, DbError> {
    let select = "select * from spend_budget where organisation = $1 order by scope, subject, period";
    tx.query(select, params![organisation])?.iter().map(Budget::from_row).collect()
}

pub(super) fn find(tx: &mut Tx<'_>, organisation: &OrganisationId, id: &BudgetId) -> Result<Option<Budget>, DbError> {
    let select = "select * from spend_budget where id = $1 and organisation = $2";
    tx.query_opt(select, params![id, organisation])?.as_ref().map(Budget::from_row).transpose()
}

pub(super) fn spent(tx: &mut Tx<'_>, budget: &BudgetId, span: &str) -> Result<i64, DbError> {
    let row = tx.query_opt("select spent from spend_budget_span where budget = $1 and span = $2", params![budget, span])?;
    row.map_or(Ok(0), |row| row.get("spent"))
}
