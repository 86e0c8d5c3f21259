//! The outcome of a charge, and what follows from it. The first outcome counts.

use purser_db::{DbError, Tx};
use purser_values::id::ChargeId;
use slipway_accounts::charge::ChargeOutcome;
use slipway_accounts::realm::Realm;

use super::get::subscription_get;
use super::start::plan_line;
use super::{State, Subscription, write};
use crate::charge::{self, Charge, Purpose};
use crate::credit::spend;
use crate::invoice::{self, Draft, Line};
use crate::notice::{self, Notice};
use crate::period::Calendar;
use crate::proration::part;
use crate::{refund, usage};

/// # Errors
/// When the store fails.
pub fn settle(tx: &mut Tx<'_>, realm: &Realm, id: &ChargeId, outcome: &ChargeOutcome) -> Result<(), DbError> {
    if !charge::settle(tx, &realm.env, id, outcome)? {
        return Ok(());
    }
    let charge = charge::get(tx, id)?.ok_or(DbError::NoRow)?;
    let sub = subscription_get(tx, &charge.resource)?.ok_or(DbError::NoRow)?;
    match (charge.purpose, outcome.succeeded) {
        (Purpose::Usage, true) => usage::close::charged(tx, &charge),
        (Purpose::Usage, false) => use_refused(tx, realm, sub, &charge, outcome),
        (Purpose::Renewal | Purpose::Change, true) if sub.is_over() => too_late(tx, realm, &sub, &charge),
        (Purpose::Renewal, true) => renewed(tx, realm, sub, &charge),
        (Purpose::Renewal, false) => refused(tx, realm, sub, outcome),
        (Purpose::Change, true) => changed(tx, realm, sub, &charge),
        (Purpose::Change, false) => not_changed(tx, realm, sub, outcome),
        (Purpose::Order, _) => Ok(()),
    }
}

/// The next period, under the terms that were to take over with it.
pub(super) fn rolled(mut sub: Subscription) -> Subscription {
    sub.terms = sub.next_terms().clone();
    if sub.change.as_ref().is_some_and(|change| change.at >= sub.period().end) {
        sub.change = None;
    }
    Subscription { number: sub.number.saturating_add(1), state: State::Active, tries: 0, told: 0, ..sub }
}

fn renewed(tx: &mut Tx<'_>, realm: &Realm, sub: Subscription, charge: &Charge) -> Result<(), DbError> {
    let was = sub.state;
    let mut sub = rolled(sub);
    write::put(tx, &realm.env, &mut sub)?;
    let line = plan_line(&sub, charge.amount, sub.period().start, sub.period().end);
    issue(tx, realm, &sub, vec![line], charge)?;
    match was {
        State::Suspended { .. } | State::PastDue { .. } => notice::tell(tx, realm, &sub, &Notice::Resumed),
        State::Active | State::Ended { .. } => Ok(()),
    }
}

fn refused(tx: &mut Tx<'_>, realm: &Realm, mut sub: Subscription, outcome: &ChargeOutcome) -> Result<(), DbError> {
    let first = sub.state == State::Active;
    if first {
        sub.state = State::PastDue { since: realm.env.now() };
    }
    sub.tries += 1;
    write::put(tx, &realm.env, &mut sub)?;
    if first { notice::tell(tx, realm, &sub, &Notice::PastDue { why: words(outcome) }) } else { Ok(()) }
}

/// Use that is not paid stops the service in time, as a renewal does. Of what has ended only the money is still wanted.
fn use_refused(tx: &mut Tx<'_>, realm: &Realm, mut sub: Subscription, charge: &Charge, outcome: &ChargeOutcome) -> Result<(), DbError> {
    let now = realm.env.now();
    if sub.is_over() {
        return match usage::close::next_try(tx, charge)? {
            Some(at) => write::later(tx, &realm.env, &sub, at),
            None => Ok(()),
        };
    }
    let first = sub.state == State::Active;
    if first {
        sub.state = State::PastDue { since: now };
    }
    write::put(tx, &realm.env, &mut sub)?;
    if first { notice::tell(tx, realm, &sub, &Notice::UseNotPaid { why: words(outcome) }) } else { Ok(()) }
}

/// The dearer plan begins with a period of its own; what was left of the old one is taken off its price.
fn changed(tx: &mut Tx<'_>, realm: &Realm, sub: Subscription, charge: &Charge) -> Result<(), DbError> {
    let Some(change) = sub.change.clone() else { return Err(DbError::Corrupt(format!("`{}` changed nothing", charge.id))) };
    let (old, from) = (sub.period(), sub.terms.clone());
    let credit = part(from.price, old.left(change.at), old.seconds());
    usage::close::close(tx, &sub.resource, change.at)?;
    let calendar = Calendar { anchor: change.at, ..sub.calendar };
    let mut sub = Subscription { terms: change.terms, calendar, number: 0, change: None, tries: 0, told: 0, ..sub };
    usage::open(tx, &sub, change.at)?;
    write::put(tx, &realm.env, &mut sub)?;
    let mut lines = vec![plan_line(&sub, sub.terms.price, sub.period().start, sub.period().end)];
    if !credit.is_zero() {
        let less = purser_values::Money::from_minor(-credit.minor(), credit.currency());
        lines.push(Line::period(format!("Unused part of plan `{}`", from.plan), less, change.at, old.end));
    }
    issue(tx, realm, &sub, lines, charge)?;
    write::hurry(tx, &realm.env, &sub)
}

fn not_changed(tx: &mut Tx<'_>, realm: &Realm, sub: Subscription, outcome: &ChargeOutcome) -> Result<(), DbError> {
    let plan = sub.change.as_ref().map(|change| change.terms.plan.clone()).unwrap_or_default();
    let mut sub = Subscription { change: None, ..sub };
    write::put(tx, &realm.env, &mut sub)?;
    notice::tell(tx, realm, &sub, &Notice::NotChanged { plan, why: words(outcome) })
}

/// The money came after the subscription had ended: all of it goes back.
fn too_late(tx: &mut Tx<'_>, realm: &Realm, sub: &Subscription, charge: &Charge) -> Result<(), DbError> {
    let line = Line::amount(format!("`{}`, paid after it had ended", sub.terms.plan), charge.amount);
    issue(tx, realm, sub, vec![line.clone()], charge)?;
    refund::begin_of(tx, &realm.env, charge, charge.amount, "not_delivered", vec![Line { of_line: Some(1), ..line }])
}

/// The invoice of a charge, with what a credit paid of it.
fn issue(tx: &mut Tx<'_>, realm: &Realm, sub: &Subscription, mut lines: Vec<Line>, charge: &Charge) -> Result<(), DbError> {
    lines.extend(spend::lines(tx, charge.id.as_str(), charge.amount.currency())?);
    invoice::issue(tx, &realm.env, &Draft::invoice(sub, lines, vec![charge.id.clone()], charge.cash())).map(drop)
}

fn words(outcome: &ChargeOutcome) -> String {
    outcome.message.clone().or_else(|| outcome.code.clone()).unwrap_or_else(|| "no reason was given".to_owned())
}
