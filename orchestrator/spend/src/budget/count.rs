//! What counts in budgets: each captured charge, and what came back of it.

use purser_authority::Done;
use purser_db::{DbError, Tx, params};
use purser_values::id::ChargeId;
use purser_values::{Env, Money, Timestamp};

use super::{Budget, read, unusual, watch};
use crate::charge::Charge;
use crate::hold::{HeldLine, Hold};
use crate::limits::BUDGET_RECURRING_S;
use crate::quote::Recurs;
use crate::share;
use crate::verify::Difference;

/// A charge was captured: counts it in every budget that covers it, and raises what follows.
pub(crate) fn captured(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, charge: &Charge) -> Result<Done<()>, DbError> {
    let mut done = Done::quiet(());
    let mut budgets = read::of_organisation(tx, &hold.spender.organisation)?;
    if !budgets.is_empty() {
        let shares = share::of_hold(tx, &hold.id)?;
        let facts = hold.facts(&shares);
        budgets.retain(|budget| budget.covers(&facts));
    }
    // Whoever wants no word of charges that stand out says so with the budgets that cover them.
    if budgets.is_empty() || budgets.iter().any(|budget| budget.unusual) {
        done.absorb(unusual::look(tx, env, hold, charge)?);
    }
    for budget in &budgets {
        if budget.amount.currency() != charge.amount.currency() {
            continue;
        }
        let span = budget.span(tx, charge.begun_at)?;
        let counted = Counted {
            charge: &charge.id,
            at: charge.begun_at,
            amount: charge.amount.minor(),
            recurring: line.recurs.months().is_some(),
            hold: hold.id.as_str(),
            line: &line.line,
        };
        if count(tx, budget, &span.name, &counted)? {
            done.absorb(watch::look(tx, env, budget, &span, Some(&hold.spender.agent))?);
        }
    }
    Ok(done)
}

/// Money of a charge came back. It leaves the period that it was counted in; what was told stays told.
pub(crate) fn refunded(tx: &mut Tx<'_>, charge: &ChargeId, amount: Money) -> Result<(), DbError> {
    let counted = "update spend_budget_charge set amount = amount - $2 where charge = $1 returning budget, span";
    for row in tx.query(counted, params![charge, amount.minor()])? {
        let (budget, span): (String, String) = (row.get("budget")?, row.get("span")?);
        let less = "update spend_budget_span set spent = spent - $3 where budget = $1 and span = $2";
        tx.execute(less, params![budget, span, amount.minor()])?;
    }
    Ok(())
}

struct Counted<'a> {
    charge: &'a ChargeId,
    at: Timestamp,
    amount: i64,
    recurring: bool,
    hold: &'a str,
    line: &'a str,
}

/// INVARIANT (budget-counts): both rows in one write. Answers whether it counts for the first time.
fn count(tx: &mut Tx<'_>, budget: &Budget, span: &str, counted: &Counted<'_>) -> Result<bool, DbError> {
    let insert = "insert into spend_budget_charge (budget, charge, span, at, amount, recurring, hold, line)
                  values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (budget, charge) do nothing";
    let Counted { charge, at, amount, recurring, hold, line } = counted;
    if tx.execute(insert, params![budget.id, charge, span, at, amount, recurring, hold, line])? != 1 {
        return Ok(false);
    }
    let add = "insert into spend_budget_span (budget, span, spent) values ($1, $2, $3)
               on conflict (budget, span) do update set spent = spend_budget_span.spent + $3";
    tx.execute(add, params![budget.id, span, amount])?;
    Ok(true)
}

/// Counts anew what the budget covers of the running period, and what comes again of the time before: for a budget that was just set.
pub(super) fn recount(tx: &mut Tx<'_>, env: &Env, budget: &Budget) -> Result<(), DbError> {
    tx.execute("delete from spend_budget_charge where budget = $1", params![budget.id])?;
    tx.execute("delete from spend_budget_span where budget = $1", params![budget.id])?;
    let span = budget.span(tx, env.now())?;
    let since = span.starts.unwrap_or(Timestamp::EPOCH);
    let select = "select c.id, c.hold, c.line, c.amount, c.begun_at, l.recurs, cast(coalesce((select sum(r.amount) from spend_refund r
                      where r.charge = c.id and r.state = 'succeeded'), 0) as bigint) as refunded
                  from spend_charge c join spend_hold_line l on l.hold = c.hold and l.charge = c.id
                  where c.organisation = $1 and c.state = 'succeeded' and c.currency = $2 and c.begun_at >= $3
                  and (c.begun_at >= $4 or l.recurs in ('month', 'year')) order by c.begun_at, c.id";
    let earliest = since.min(env.now().plus_secs(-BUDGET_RECURRING_S));
    for row in tx.query(select, params![budget.organisation, budget.amount.currency(), earliest, since])? {
        let hold = crate::hold::find(tx, &row.parse("hold")?)?.ok_or(DbError::NoRow)?;
        let shares = share::of_hold(tx, &hold.id)?;
        if !budget.covers(&hold.facts(&shares)) {
            continue;
        }
        let (charge, at, line): (ChargeId, Timestamp, String) = (row.parse("id")?, row.get("begun_at")?, row.get("line")?);
        let counted = Counted {
            charge: &charge,
            at,
            amount: row.get::<i64>("amount")? - row.get::<i64>("refunded")?,
            recurring: row.parse::<Recurs>("recurs")?.months().is_some(),
            hold: hold.id.as_str(),
            line: &line,
        };
        let span = budget.span(tx, at)?;
        count(tx, budget, &span.name, &counted)?;
    }
    Ok(())
}

/// INVARIANT (budget-counts), recomputed: periods against what was counted in them, and that against the charges themselves.
pub(crate) fn check(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let spans = "select s.budget, s.span, s.spent, cast(coalesce((select sum(c.amount) from spend_budget_charge c
                     where c.budget = s.budget and c.span = s.span), 0) as bigint) as counted from spend_budget_span s";
    for row in tx.query(spans, params![])? {
        let (spent, counted): (i64, i64) = (row.get("spent")?, row.get("counted")?);
        if spent != counted {
            let (budget, span): (String, String) = (row.get("budget")?, row.get("span")?);
            let what = format!("`{budget}` has spent {spent} in {span}, its charges say {counted}");
            found.push(Difference::soft(format!("budget-counts {budget} {span}"), spent - counted, what));
        }
    }
    let charges = "select b.budget, b.charge, b.amount, c.amount - cast(coalesce((select sum(r.amount) from spend_refund r
                       where r.charge = c.id and r.state = 'succeeded'), 0) as bigint) as stays
                   from spend_budget_charge b join spend_charge c on c.id = b.charge";
    for row in tx.query(charges, params![])? {
        let (amount, stays): (i64, i64) = (row.get("amount")?, row.get("stays")?);
        if amount != stays {
            let (budget, charge): (String, String) = (row.get("budget")?, row.get("charge")?);
            let what = format!("`{budget}` counts {amount} of `{charge}`, of which {stays} stays");
            found.push(Difference::soft(format!("budget-counts {budget} {charge}"), amount - stays, what));
        }
    }
    Ok(())
}
