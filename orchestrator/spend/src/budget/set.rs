//! A person plans a budget, changes it, or takes it away.

use purser_authority::action::{BudgetLoosen, BudgetSet as BudgetSetAction};
use purser_authority::{Done, Event, Facts, Permit, authorise};
use purser_db::{Tx, params};
use purser_values::id::{BudgetId, OrganisationId};
use purser_values::limits::cap_max;
use purser_values::{Env, Money};
use serde_json::json;

use super::{Action, Budget, BudgetError, count, read, watch};
use crate::calendar::Period;
use crate::ceiling::{self, Scope};
use crate::limits::{BUDGET_PERCENT_MAX, BUDGET_THRESHOLDS, BUDGETS};
use crate::percent::Percent;
use crate::spender;

/// What is planned, over what.
#[derive(Clone, Debug)]
pub struct BudgetSet {
    pub organisation: OrganisationId,
    pub scope: Scope,
    /// Which one; nothing for the organisation.
    pub subject: String,
    pub period: Period,
    pub amount: Money,
    pub thresholds: Vec<Percent>,
    pub action: Action,
    pub act_at: Percent,
    pub unusual: bool,
}

/// Sets the budget, for the running period too: what was charged in it counts, and what that has reached is told at once. Letting a
/// budget stop less than before wants a person who was there just now.
///
/// # Errors
/// When a value is out of range, there is no such subject, or there are too many budgets.
pub fn set(tx: &mut Tx<'_>, env: &Env, permit: &Permit<BudgetSetAction>, wanted: &BudgetSet) -> Result<Done<Budget>, BudgetError> {
    let BudgetSet { organisation, scope, period, amount, action, act_at, unusual, .. } = wanted.clone();
    spender::same_organisation(permit.caller(), &organisation)?;
    if amount.minor() <= 0 || amount.minor() > cap_max(amount.currency()).minor() {
        return Err(BudgetError::Amount(amount));
    }
    if period == Period::Transaction {
        return Err(BudgetError::Period);
    }
    let thresholds = thresholds(&wanted.thresholds, act_at)?;
    let subject = ceiling::subject(&organisation, scope, &wanted.subject)?;
    let all = read::of_organisation(tx, &organisation)?;
    let before = all.iter().find(|b| b.scope == scope && b.subject == subject && b.period == period).cloned();
    if before.is_none() && i64::try_from(all.len()).unwrap_or(i64::MAX) >= BUDGETS {
        return Err(BudgetError::TooMany);
    }
    let id = before.as_ref().map_or_else(|| BudgetId::mint(env), |before| before.id.clone());
    let set_by = permit.caller().person().map(ToString::to_string).unwrap_or_default();
    let budget =
        Budget { id, organisation, scope, subject, period, amount, thresholds, action, act_at, unusual, set_by, set_at: env.now() };
    if before.as_ref().is_some_and(|before| stops_less(before, &budget)) {
        authorise::<BudgetLoosen>(permit.caller(), &Facts::new(env.now(), permit.subject())).map(drop)?;
    }
    write(tx, &budget)?;
    // What was charged is counted anew: the currency may be another, and what was there before the budget was not counted.
    count::recount(tx, env, &budget)?;
    let event = Event::done(permit.verb(), permit.caller(), budget.id.as_str())
        .in_organisation(&budget.organisation)
        .related([&budget.subject])
        .with(json!({"before": before, "after": budget}));
    let span = budget.span(tx, env.now())?;
    let mut done = Done::with_event(budget.clone(), event);
    done.absorb(watch::look(tx, env, &budget, &span, None)?);
    Ok(done)
}

/// Takes the budget away; what it told stays told.
///
/// # Errors
/// When there is no such budget, or it stopped something and nobody was there just now.
pub fn remove(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<BudgetSetAction>,
    organisation: &OrganisationId,
    id: &BudgetId,
) -> Result<Done<()>, BudgetError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let before = read::find(tx, organisation, id)?.ok_or(BudgetError::Unknown)?;
    if before.action != Action::Notify {
        authorise::<BudgetLoosen>(permit.caller(), &Facts::new(env.now(), permit.subject())).map(drop)?;
    }
    for delete in [
        "delete from spend_budget_charge where budget = $1",
        "delete from spend_budget_span where budget = $1",
        "delete from spend_budget where id = $1",
    ] {
        tx.execute(delete, params![id])?;
    }
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(organisation)
        .related([&before.subject])
        .with(json!({"before": before, "after": null}));
    Ok(Done::with_event((), event))
}

/// Whether something that waited for a person before would not any more.
fn stops_less(before: &Budget, after: &Budget) -> bool {
    before.action != Action::Notify
        && (after.action < before.action
            || after.act_at > before.act_at
            || after.amount.currency() != before.amount.currency()
            || after.amount.minor() > before.amount.minor())
}

fn thresholds(wanted: &[Percent], act_at: Percent) -> Result<Vec<Percent>, BudgetError> {
    let mut thresholds = wanted.to_vec();
    thresholds.sort_unstable();
    thresholds.dedup();
    let usable = |percent: &Percent| percent.basis_points() > 0 && *percent <= BUDGET_PERCENT_MAX;
    if thresholds.is_empty() || thresholds.len() > BUDGET_THRESHOLDS || !thresholds.iter().all(usable) || !usable(&act_at) {
        return Err(BudgetError::Thresholds);
    }
    Ok(thresholds)
}

fn write(tx: &mut Tx<'_>, budget: &Budget) -> Result<(), BudgetError> {
    let upsert =
        "insert into spend_budget (id, organisation, scope, subject, period, amount, currency, thresholds, action, act_at, unusual,
                      set_by, set_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                  on conflict (organisation, scope, subject, period) do update
                  set amount = $6, currency = $7, thresholds = $8, action = $9, act_at = $10, unusual = $11, set_by = $12, set_at = $13";
    let Budget { id, organisation, scope, subject, period, amount, action, act_at, unusual, set_by, set_at, .. } = budget;
    let which = params![id, organisation, scope.name(), subject, period.name(), amount.minor(), amount.currency()];
    let what = params![json!(budget.thresholds), action.name(), act_at.basis_points(), unusual, set_by, set_at];
    tx.execute(upsert, &[which, what].concat())?;
    Ok(())
}
