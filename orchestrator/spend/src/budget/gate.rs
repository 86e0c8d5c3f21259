//! Whether a purchase waits for a person, because a budget that covers it is spent.

use purser_db::{DbError, Tx};
use purser_values::{Env, Money};

use super::{Action, Budget, read};
use crate::alert::is_reached;
use crate::hold::Purchase;

/// A budget that acts now.
#[derive(Clone, Debug)]
pub struct Spent {
    pub budget: Budget,
    pub span: String,
    pub spent: Money,
}

/// The first budget that covers the purchase and wants a person's yes by now. What is under way, renewals too, is not asked about.
///
/// # Errors
/// When the store fails.
pub fn gate(tx: &mut Tx<'_>, env: &Env, purchase: &Purchase) -> Result<Option<Spent>, DbError> {
    let shares = purchase.shares();
    let facts = purchase.facts(&shares);
    for budget in read::of_organisation(tx, &purchase.spender.organisation)? {
        if budget.action == Action::Notify || !budget.covers(&facts) {
            continue;
        }
        let span = budget.span(tx, env.now())?;
        let spent = read::spent(tx, &budget.id, &span.name)?;
        if is_reached(spent, budget.act_at, budget.amount) {
            let spent = budget.money(spent);
            return Ok(Some(Spent { budget, span: span.name, spent }));
        }
    }
    Ok(None)
}
