//! Whether a purchase waits for a person, because a budget that covers it is spent, or would be passed by it.
//!
//! What others have set aside counts here as if it were charged: whoever asks at the same time cannot each be the last one. It must
//! run in the write that sets the money aside.

use purser_db::{DbError, Tx, params};
use purser_values::{Env, Money};

use super::{Action, Budget, read};
use crate::calendar::Span;
use crate::ceiling::Scope;
use crate::hold::Purchase;

/// A budget that acts now.
#[derive(Clone, Debug)]
pub struct Spent {
    pub budget: Budget,
    pub span: String,
    pub spent: Money,
    /// Set aside for purchases that it covers, and not charged yet.
    pub held: Money,
    /// The purchase itself, where only that would pass the budget.
    pub passing: Option<Money>,
}

/// The first budget that covers the purchase and wants a person's yes to it. What is under way, renewals too, is not asked about.
///
/// A budget that asks people first is not passed without them; one that freezes lets the purchase through that reaches it.
///
/// # Errors
/// When the store fails.
pub fn gate(tx: &mut Tx<'_>, env: &Env, purchase: &Purchase) -> Result<Option<Spent>, DbError> {
    for budget in acting(tx, purchase)? {
        let span = budget.span(tx, env.now())?;
        let spent = read::spent(tx, &budget.id, &span.name)?;
        let held = held(tx, &budget, &span)?;
        let used = spent.saturating_add(held);
        // In another currency it is not counted.
        let asked = purchase.quote.total(budget.amount.currency()).ok().filter(|_| budget.action == Action::RequireApproval);
        let passing = asked.filter(|asked| passes(used, *asked, &budget));
        if budget.act_at.is_reached(used, budget.amount) || passing.is_some() {
            let (spent, held) = (budget.money(spent), budget.money(held));
            return Ok(Some(Spent { budget, span: span.name, spent, held, passing }));
        }
    }
    Ok(None)
}

/// Whether a budget that asks or freezes covers the purchase, so that what is bought beside it matters.
///
/// # Errors
/// When the store fails.
pub fn is_watched(tx: &mut Tx<'_>, purchase: &Purchase) -> Result<bool, DbError> {
    Ok(!acting(tx, purchase)?.is_empty())
}

fn acting(tx: &mut Tx<'_>, purchase: &Purchase) -> Result<Vec<Budget>, DbError> {
    let shares = purchase.shares();
    let facts = purchase.facts(&shares);
    let mut budgets = read::of_organisation(tx, &purchase.spender.organisation)?;
    budgets.retain(|budget| budget.action != Action::Notify && budget.covers(&facts));
    Ok(budgets)
}

/// Whether the purchase would take the budget beyond the point where it acts.
fn passes(used: i64, asked: Money, budget: &Budget) -> bool {
    asked.is_positive() && budget.act_at.is_passed(i128::from(used) + i128::from(asked.minor()), budget.amount)
}

/// What is set aside for what the budget covers and will be charged in this period.
pub(super) fn held(tx: &mut Tx<'_>, budget: &Budget, span: &Span) -> Result<i64, DbError> {
    let select = "select h.categories as categories, cast(sum(l.amount) as bigint) as held
                  from spend_hold h join spend_hold_line l on l.hold = h.id
                  where h.organisation = $1 and h.state in ('open', 'closing') and h.currency = $2 and l.state in ('open', 'charging')
                  and ($3 in ('organisation', 'category') or ($3 = 'project' and h.project = $4)
                       or ($3 = 'environment' and h.project || '/' || h.environment = $4) or ($3 = 'provider' and h.provider = $4)
                       or ($3 = 'agent' and (h.agent = $4 or exists (select 1 from spend_hold_share s where s.hold = h.id and s.agent = $4)))
                       or ($3 = 'grant' and (h.grant_id = $4 or exists (select 1 from spend_hold_share s where s.hold = h.id and s.grant_id = $4))))
                  and not exists (select 1 from spend_renewal r where r.hold = l.hold and r.line = l.line and l.period <> ''
                       and r.state = 'reserved' and r.next_at >= $5)
                  group by h.categories";
    let ends = span.ends.map_or(i64::MAX, purser_values::Timestamp::as_micros);
    let rows = tx.query(select, params![budget.organisation, budget.amount.currency(), budget.scope.name(), budget.subject, ends])?;
    let mut held = 0_i64;
    for row in rows {
        if budget.scope == Scope::Category && !row.json::<Vec<String>>("categories")?.contains(&budget.subject) {
            continue;
        }
        held = held.saturating_add(row.get("held")?);
    }
    Ok(held)
}
