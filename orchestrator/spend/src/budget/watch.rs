//! What a budget says after it has counted: thresholds, its pace, and money that goes fast.

use purser_authority::Done;
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::AgentId;
use purser_values::{Env, Timestamp};
use serde_json::json;

use super::{Action, Budget, Pace, forecast, read};
use crate::alert::{self, Cause, OfBudget};
use crate::calendar::Span;
use crate::ceiling::Scope;
use crate::limits::{BATCH, BUDGET_LOOK_S, BURN_CHARGES, BURN_PART, BURN_SHARE};

/// The kind of job that freezes an agent because a budget says so; its payload is `{"agent": id, "alert": id}`.
pub const FREEZE_JOB: &str = "budget_freeze";

/// Raises what the period has earned and was not told yet, in the caller's write. The agent is the one whose charge it was; nobody's when
/// a person has just set the budget.
pub(super) fn look(tx: &mut Tx<'_>, env: &Env, budget: &Budget, span: &Span, agent: Option<&AgentId>) -> Result<Done<()>, DbError> {
    let mut done = Done::quiet(());
    let spent = read::spent(tx, &budget.id, &span.name)?;
    if spent <= 0 {
        return Ok(done);
    }
    let mut steps = budget.thresholds.clone();
    if budget.action != Action::Notify && !steps.contains(&budget.act_at) {
        steps.push(budget.act_at);
    }
    for threshold in steps {
        if !threshold.is_reached(spent, budget.amount) {
            continue;
        }
        // What happens is part of the key: who makes a budget stricter is told anew, and what it does is done.
        let action = if threshold >= budget.act_at { budget.action } else { Action::Notify };
        let cause = Cause::BudgetThreshold { of: of(budget, span, spent), threshold_percent: threshold, action };
        let key = format!("{}:{}:{threshold}:{}:{}", budget.id, span.name, budget.amount, action.name());
        let raised = done.absorb(alert::raise(tx, env, &budget.organisation, agent, &key, &cause)?);
        if let (Some(alert), Action::Freeze) = (raised, action) {
            for agent in frozen(tx, budget, span, agent)? {
                let dedupe = Some(format!("{FREEZE_JOB}:{alert}:{agent}"));
                done.jobs.push(NewJob { dedupe, ..NewJob::now(env, FREEZE_JOB, json!({"agent": agent, "alert": alert})) });
            }
        }
    }
    if spent < budget.amount.minor() {
        done.absorb(foresee(tx, env, budget, span, spent, agent)?);
    }
    done.absorb(burn(tx, env, budget, span, spent, agent)?);
    Ok(done)
}

/// Whom a budget freezes: the agent that it is over, else the one whose charge it was. A budget that is spent when a person sets it
/// freezes all whose charges those were.
fn frozen(tx: &mut Tx<'_>, budget: &Budget, span: &Span, agent: Option<&AgentId>) -> Result<Vec<AgentId>, DbError> {
    if budget.scope == Scope::Agent {
        return Ok(budget.subject.parse().into_iter().collect());
    }
    if let Some(agent) = agent {
        return Ok(vec![agent.clone()]);
    }
    let select = "select distinct h.agent as agent from spend_budget_charge b join spend_hold h on h.id = b.hold
                  where b.budget = $1 and b.span = $2 and b.amount > 0 order by h.agent";
    tx.query(select, params![budget.id, span.name])?.iter().map(|row| row.parse("agent")).collect()
}

/// Looks at budgets whose last look is long ago, a batch at a time: time alone can make that a budget will not last. Answers how many;
/// call again until it is none.
///
/// # Errors
/// When the store fails.
pub fn look_ahead(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let env = &env.still();
    let select = "select * from spend_budget where looked_at <= $1 order by looked_at, id limit $2";
    let rows = tx.query(select, params![env.now().plus_secs(-BUDGET_LOOK_S), BATCH])?;
    let mut done = Done::quiet(rows.len());
    for row in rows {
        let budget = Budget::from_row(&row)?;
        tx.execute("update spend_budget set looked_at = $2 where id = $1", params![budget.id, env.now()])?;
        let span = budget.span(tx, env.now())?;
        let spent = read::spent(tx, &budget.id, &span.name)?;
        if spent < budget.amount.minor() {
            let told = foresee(tx, env, &budget, &span, spent, None)?;
            done.absorb(told);
        }
    }
    Ok(done)
}

fn foresee(tx: &mut Tx<'_>, env: &Env, budget: &Budget, span: &Span, spent: i64, agent: Option<&AgentId>) -> Result<Done<()>, DbError> {
    let Some(pace) = pace(tx, budget, span, env.now())?.filter(Pace::is_told) else { return Ok(Done::quiet(())) };
    let comes_to = forecast(&pace);
    if comes_to <= budget.amount.minor() {
        return Ok(Done::quiet(()));
    }
    let cause = Cause::BudgetForecast { of: of(budget, span, spent), forecast: budget.money(comes_to), ends: pace.ends };
    let key = format!("{}:{}:{}", budget.id, span.name, budget.amount);
    Ok(alert::raise(tx, env, &budget.organisation, agent, &key, &cause)?.map(drop))
}

fn burn(tx: &mut Tx<'_>, env: &Env, budget: &Budget, span: &Span, spent: i64, agent: Option<&AgentId>) -> Result<Done<()>, DbError> {
    let (Some(starts), Some(ends)) = (span.starts, span.ends) else { return Ok(Done::quiet(())) };
    let within_s = ends.micros_since(starts) / BURN_PART / 1_000_000;
    let select = "select count(*) as number, cast(coalesce(sum(amount), 0) as bigint) as burned
                  from spend_budget_charge where budget = $1 and at > $2 and span = $3";
    let row = tx.query_one(select, params![budget.id, env.now().plus_secs(-within_s), span.name])?;
    let (number, burned): (i64, i64) = (row.get("number")?, row.get("burned")?);
    let fast = number >= BURN_CHARGES && i128::from(burned) * i128::from(BURN_SHARE) > i128::from(budget.amount.minor());
    if !fast {
        return Ok(Done::quiet(()));
    }
    let cause = Cause::BudgetBurn { of: of(budget, span, spent), burned: budget.money(burned), within_s };
    let key = format!("{}:{}:{}", budget.id, span.name, budget.amount);
    Ok(alert::raise(tx, env, &budget.organisation, agent, &key, &cause)?.map(drop))
}

/// The period under way; nothing for one without an end.
pub(super) fn pace(tx: &mut Tx<'_>, budget: &Budget, span: &Span, now: Timestamp) -> Result<Option<Pace>, DbError> {
    let (Some(starts), Some(ends)) = (span.starts, span.ends) else { return Ok(None) };
    let spent = read::spent(tx, &budget.id, &span.name)?;
    let recurring = "select cast(coalesce(sum(amount), 0) as bigint) as again from spend_budget_charge
                     where budget = $1 and recurring = 1 and span = $2 and at >= $3";
    let again: i64 = tx.query_one(recurring, params![budget.id, span.name, starts])?.get("again")?;
    // Each subscription once, at the highest price that it was charged with.
    let due = "select cast(coalesce(sum(price), 0) as bigint) as due from (
                   select b.hold, b.line, max(b.amount) as price from spend_budget_charge b
                   join spend_renewal r on r.hold = b.hold and r.line = b.line
                   where b.budget = $1 and b.recurring = 1 and r.state <> 'refused' and r.next_at >= $2 and r.next_at < $3
                   group by b.hold, b.line) as again";
    let due: i64 = tx.query_one(due, params![budget.id, now, ends])?.get("due")?;
    Ok(Some(Pace { starts, ends, now, spent, once: spent - again, due }))
}

fn of(budget: &Budget, span: &Span, spent: i64) -> OfBudget {
    OfBudget {
        budget: budget.id.clone(),
        scope: budget.scope,
        subject: budget.subject.clone(),
        period: budget.period,
        span: span.name.clone(),
        amount: budget.amount,
        spent: budget.money(spent),
    }
}
