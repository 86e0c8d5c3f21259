//! What was ordered and paid begins: its first period, its invoice.

use purser_db::{DbError, Tx};
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::{Env, Money, Timestamp};

use super::get::subscription_get;
use super::{Kind, State, Subscription, Terms, write};
use crate::charge::{self, Paid};
use crate::credit::spend;
use crate::invoice::{self, Line};
use crate::period::Calendar;
use crate::usage;

/// A first order that is carried out.
#[derive(Clone, Debug)]
pub struct Begin {
    pub resource: CloudResourceId,
    pub account: CloudAccountId,
    pub kind: Kind,
    pub terms: Terms,
    /// When the first period began: the moment in which the order was recorded.
    pub at: Timestamp,
    /// Whether another period follows by itself. A domain's does not, unless its buyer chose so.
    pub renews: bool,
    /// The charge that paid for it; nothing for what is free.
    pub paid: Option<Paid>,
}

/// Starts the subscription and issues the first invoice. Doing it again changes nothing.
///
/// # Errors
/// When the store fails.
pub fn subscription_begin(tx: &mut Tx<'_>, env: &Env, begin: &Begin) -> Result<(), DbError> {
    if subscription_get(tx, &begin.resource)?.is_some() {
        return Ok(());
    }
    let months = if begin.kind == Kind::Domain { 12 } else { 1 };
    let mut sub = Subscription {
        resource: begin.resource.clone(),
        account: begin.account.clone(),
        kind: begin.kind,
        terms: begin.terms.clone(),
        calendar: Calendar { anchor: begin.at, months },
        number: 0,
        state: State::Active,
        tries: 0,
        told: 0,
        renews: begin.renews,
        change: None,
        next_at: begin.at,
        created_at: begin.at,
    };
    write::put(tx, env, &mut sub)?;
    if sub.kind == Kind::Plan {
        usage::open(tx, &sub, begin.at)?;
    }
    let Some(paid) = &begin.paid else { return Ok(()) };
    charge::record_paid(tx, env, &sub, paid)?;
    let line = plan_line(&sub, sub.terms.price, sub.period().start, sub.period().end);
    let rest = discount(sub.terms.price, paid.amount)?;
    let by_credit = spend::lines(tx, paid.id.as_str(), paid.amount.currency())?;
    let lines = std::iter::once(line).chain(rest).chain(by_credit).collect();
    let cash = paid.amount.checked_sub(paid.by_credit).map_err(|e| DbError::Corrupt(e.to_string()))?;
    invoice::issue(tx, env, &invoice::Draft::invoice(&sub, lines, vec![paid.id.clone()], cash)).map(drop)
}

/// The line of a period of a plan or a domain.
pub(super) fn plan_line(sub: &Subscription, amount: Money, start: Timestamp, end: Timestamp) -> Line {
    let what = match sub.kind {
        Kind::Plan => format!("Plan `{}`, one month", sub.terms.plan),
        Kind::Domain => format!("Domain `{}`, one year", sub.terms.plan),
    };
    Line::period(what, amount, start, end)
}

/// What was taken less than the price says: a name that was paid before costs nothing again.
fn discount(price: Money, taken: Money) -> Result<Option<Line>, DbError> {
    let less = taken.checked_sub(price).map_err(|e| DbError::Corrupt(e.to_string()))?;
    Ok((!less.is_zero()).then(|| Line::amount("Difference to the price".to_owned(), less)))
}
