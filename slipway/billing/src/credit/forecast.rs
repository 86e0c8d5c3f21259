//! When the credit ends and what is paid then, if everything goes on as it does now.
//!
//! No guess but one: use goes on at the pace of the present period. Everything else is what the subscriptions say: each renewal at its moment
//! and price, from the credit that ends first, until there is one that no credit pays in whole.

use purser_db::{DbError, Tx};
use purser_values::id::CloudAccountId;
use purser_values::{Currency, Money, Timestamp};
use purser_wire::credit::{Cover, CreditEnd, CreditForecast, Due};

use super::book::{Place, balance};
use super::cover_of;
use super::get::credit_list;
use crate::limits::FORECAST_STEPS;
use crate::period::Calendar;
use crate::subscription::State;
use crate::subscription::get::subscription_list;
use crate::usage;

/// A credit with what is left of it.
#[derive(Clone, Debug)]
pub struct Pool {
    pub left: i64,
    pub covers: Vec<Cover>,
    pub expires_at: Timestamp,
}

/// Something that is paid at the end of each period.
#[derive(Clone, Debug)]
pub struct Burn {
    pub calendar: Calendar,
    /// The period at whose end it is paid first.
    pub number: i32,
    pub cover: Cover,
    pub amount: i64,
}

/// # Errors
/// When the store fails.
pub fn forecast_of(tx: &mut Tx<'_>, account: &CloudAccountId, now: Timestamp) -> Result<Option<CreditForecast>, DbError> {
    let mut pools = Vec::new();
    let mut currency = Currency::USD;
    for credit in credit_list(tx, account)?.into_iter().filter(|credit| !credit.is_over && now < credit.expires_at) {
        let left = balance(tx, &credit.id, Place::Available)? + balance(tx, &credit.id, Place::Held)?;
        currency = credit.given.currency();
        pools.push(Pool { left, covers: credit.covers, expires_at: credit.expires_at });
    }
    if pools.iter().all(|pool| pool.left == 0) {
        return Ok(None);
    }
    let mut burns = Vec::new();
    for sub in subscription_list(tx, account)? {
        let goes_on = sub.renews && matches!(sub.state, State::Active | State::PastDue { .. });
        let price = sub.next_terms().price;
        if goes_on && price.is_positive() && price.currency() == currency {
            let (calendar, number, cover) = (sub.calendar, sub.number, cover_of(sub.kind));
            burns.push(Burn { calendar, number, cover, amount: price.minor() });
        }
        if let Some(stretch) = usage::current(tx, &sub.resource)?.filter(|_| goes_on) {
            let cost = stretch.prices.cost(&usage::counted(tx, &stretch)?).map_or(0, |cost| cost.minor());
            let (so_far, whole) = (now.as_secs() - stretch.start.as_secs(), sub.period().end.as_secs() - stretch.start.as_secs());
            let amount = at_pace(cost, so_far, whole);
            if amount > 0 {
                burns.push(Burn { calendar: sub.calendar, number: sub.number, cover: Cover::Usage, amount });
            }
        }
    }
    Ok(Some(forecast(pools, burns, currency)))
}

/// What it will have cost at the end, rounded up: a forecast that is too low is no warning.
fn at_pace(cost: i64, so_far: i64, whole: i64) -> i64 {
    if so_far <= 0 || whole <= so_far {
        return cost;
    }
    let exact = i128::from(cost) * i128::from(whole);
    i64::try_from((exact + i128::from(so_far) - 1) / i128::from(so_far)).unwrap_or(i64::MAX)
}

/// The forecast from what is left and what is paid when. `pools` are not empty.
#[must_use]
pub fn forecast(mut pools: Vec<Pool>, mut burns: Vec<Burn>, currency: Currency) -> CreditForecast {
    pools.sort_by_key(|pool| pool.expires_at);
    let last = pools.iter().filter(|pool| pool.left > 0).map(|pool| pool.expires_at).max();
    let monthly: i64 = burns.iter().map(|burn| per_month(burn.amount, burn.calendar.months)).fold(0, i64::saturating_add);
    let monthly = Money::from_minor(monthly, currency);
    let mut ended = None;
    for _ in 0..FORECAST_STEPS {
        let due = |burn: &Burn| burn.calendar.period(burn.number).end;
        let Some(next) = burns.iter_mut().min_by_key(|burn| due(burn)) else { break };
        let at = due(next);
        let rest = pay(&mut pools, &next.cover, next.amount, at);
        next.number = next.number.saturating_add(1);
        let empty = pools.iter().all(|pool| pool.left == 0 || pool.expires_at <= at);
        if empty && ended.is_none() {
            ended = Some(match last.filter(|last| *last <= at) {
                Some(last) => (last, CreditEnd::Expires),
                None => (at, CreditEnd::Exhausted),
            });
        }
        if rest > 0 {
            let (ends_at, why) = ended.unwrap_or((last.unwrap_or(at), CreditEnd::Expires));
            let first_payment = Some(Due { at, amount: Money::from_minor(rest, currency) });
            return CreditForecast { ends_at, why, first_payment, monthly };
        }
    }
    let (ends_at, why) = ended.or(last.map(|at| (at, CreditEnd::Expires))).unwrap_or((Timestamp::from_secs(0), CreditEnd::Expires));
    CreditForecast { ends_at, why, first_payment: None, monthly }
}

/// Takes it from the credits that pay for it then; answers what is left to pay.
fn pay(pools: &mut [Pool], cover: &Cover, amount: i64, at: Timestamp) -> i64 {
    let mut rest = amount;
    for pool in pools.iter_mut().filter(|pool| at < pool.expires_at && pool.covers.contains(cover)) {
        let part = pool.left.min(rest);
        pool.left -= part;
        rest -= part;
    }
    rest
}

fn per_month(amount: i64, months: i32) -> i64 {
    let months = i64::from(months.max(1));
    (amount + months - 1) / months
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn burn(anchor: &str, months: i32, cover: Cover, amount: i64) -> Burn {
        Burn { calendar: Calendar { anchor: at(anchor), months }, number: 0, cover, amount }
    }

    fn pool(left: i64, expires: &str) -> Pool {
        Pool { left, covers: vec![Cover::Plans, Cover::Usage], expires_at: at(expires) }
    }

    #[test]
    fn the_last_cent_goes_with_a_renewal_and_the_rest_of_it_is_paid() {
        let plan = burn("2027-01-31T10:00:00Z", 1, Cover::Plans, 5_00);
        let found = forecast(vec![pool(12_00, "2028-01-01T00:00:00Z")], vec![plan], Currency::USD);
        assert_eq!((found.ends_at, found.why), (at("2027-04-30T10:00:00Z"), CreditEnd::Exhausted));
        let first = found.first_payment.unwrap();
        assert_eq!((first.at, first.amount.minor(), found.monthly.minor()), (at("2027-04-30T10:00:00Z"), 3_00, 5_00));
    }

    #[test]
    fn what_is_not_used_in_time_is_not_counted_on() {
        let plan = burn("2027-01-31T10:00:00Z", 1, Cover::Plans, 5_00);
        let found = forecast(vec![pool(100_000_00, "2027-03-15T00:00:00Z")], vec![plan], Currency::USD);
        assert_eq!((found.ends_at, found.why), (at("2027-03-15T00:00:00Z"), CreditEnd::Expires));
        assert_eq!(found.first_payment.map(|due| (due.at, due.amount.minor())), Some((at("2027-03-31T10:00:00Z"), 5_00)));
    }

    #[test]
    fn what_the_programme_does_not_cover_is_paid_from_the_beginning() {
        let domain = burn("2027-01-31T10:00:00Z", 12, Cover::Domains, 9_15);
        let found = forecast(vec![pool(50_00, "2028-03-01T00:00:00Z")], vec![domain], Currency::USD);
        assert_eq!(found.first_payment.map(|due| (due.at, due.amount.minor())), Some((at("2028-01-31T10:00:00Z"), 9_15)));
        assert_eq!((found.ends_at, found.monthly.minor()), (at("2028-03-01T00:00:00Z"), 77));
        let idle = forecast(vec![pool(50_00, "2028-03-01T00:00:00Z")], vec![], Currency::USD);
        assert_eq!((idle.ends_at, idle.first_payment, idle.monthly.minor()), (at("2028-03-01T00:00:00Z"), None, 0));
    }

    #[test]
    fn use_goes_on_at_its_pace_and_is_rounded_up() {
        assert_eq!(at_pace(1_00, 10, 30), 3_00);
        assert_eq!(at_pace(1_00, 9, 30), 3_34);
        assert_eq!(at_pace(1_00, 0, 30), 1_00);
        assert_eq!(at_pace(0, 10, 30), 0);
    }
}
