//! The next step of a subscription: one write that either moves it on by itself or writes down what is to be asked of the payer.

use purser_db::{DbError, Tx};
use purser_values::Timestamp;
use purser_values::id::CloudResourceId;
use slipway_accounts::charge::ChargeOutcome;
use slipway_accounts::realm::Realm;

use super::get::subscription_get;
use super::{Payment, State, Subscription, end, settle, write};
use crate::charge::{self, Charge, Purpose};
use crate::limits::{GRACE_S, LAST_NOTICE_S, SUSPENSION_S, UNANSWERED_S};
use crate::notice::{self, Notice};
use crate::proration::part;
use crate::till::{Account, ChargeAsk};
use crate::usage::{self, close::Next};

/// What comes after a step.
#[derive(Debug)]
pub enum Step {
    /// Ask the payer, settle, and look again.
    Ask(ChargeAsk),
    /// It moved on; look again.
    Again,
    /// Nothing is due before the next job.
    Wait,
}

/// # Errors
/// When the store fails.
pub fn advance(tx: &mut Tx<'_>, realm: &Realm, resource: &CloudResourceId) -> Result<Step, DbError> {
    let Some(sub) = subscription_get(tx, resource)? else { return Ok(Step::Wait) };
    let now = realm.env.now();
    let open = charge::open_of(tx, resource)?;
    if let Some(step) = stage(tx, realm, &sub, open.as_ref(), now)? {
        return Ok(step);
    }
    if let Some(open) = open {
        return ask(tx, realm, &sub, &open);
    }
    if let Some(stretch) = usage::close::closing(tx, resource)? {
        return match usage::close::next_charge(tx, &realm.env, &sub, &stretch)? {
            Next::Charge(charge) => ask(tx, realm, &sub, &charge),
            Next::Later => Ok(Step::Wait),
            Next::Closed => Ok(Step::Again),
        };
    }
    match sub.state {
        State::Active => active(tx, realm, sub, now),
        // Its period is paid; it was the use of an earlier one that was not.
        State::PastDue { since } | State::Suspended { since } if now.max(since) < sub.period().end => {
            moved(tx, realm, Subscription { state: State::Active, told: 0, ..sub }, Some(Notice::Resumed))
        }
        State::PastDue { .. } | State::Suspended { .. } if now >= sub.next_at => renew(tx, realm, &sub),
        State::PastDue { .. } | State::Suspended { .. } | State::Ended { .. } => Ok(Step::Wait),
    }
}

/// The stages of what is not paid come with time alone, also while the payer is asked and does not answer.
fn stage(tx: &mut Tx<'_>, realm: &Realm, sub: &Subscription, open: Option<&Charge>, now: Timestamp) -> Result<Option<Step>, DbError> {
    let sub = sub.clone();
    let step = match sub.state {
        State::Active if now >= sub.period().end && open.is_some_and(|open| now >= open.created_at.plus_secs(UNANSWERED_S)) => {
            let why = "there is no answer from where you manage your agents, or the payment waits for you there".to_owned();
            moved(tx, realm, Subscription { state: State::PastDue { since: now }, ..sub }, Some(Notice::PastDue { why }))?
        }
        State::PastDue { since } if now >= since.plus_secs(GRACE_S) => {
            let sub = Subscription { state: State::Suspended { since: now }, told: 0, ..sub };
            moved(tx, realm, sub, Some(Notice::Suspended))?
        }
        State::Suspended { since } if now >= since.plus_secs(SUSPENSION_S) => {
            end::end(tx, realm, sub, Some(Notice::Deleted))?;
            Step::Again
        }
        State::Suspended { since } if sub.told == 0 && now >= since.plus_secs(SUSPENSION_S - LAST_NOTICE_S) => {
            let sub = Subscription { told: 1, ..sub };
            moved(tx, realm, sub, Some(Notice::DeletionSoon { at: since.plus_secs(SUSPENSION_S) }))?
        }
        State::Active | State::PastDue { .. } | State::Suspended { .. } | State::Ended { .. } => return Ok(None),
    };
    Ok(Some(step))
}

fn active(tx: &mut Tx<'_>, realm: &Realm, sub: Subscription, now: Timestamp) -> Result<Step, DbError> {
    let period = sub.period();
    if let Some(change) = sub.change.as_ref().filter(|change| change.at < period.end && change.at <= now) {
        let credit = part(sub.terms.price, period.left(change.at), period.seconds());
        let due = change.terms.price.checked_sub(credit).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let charge = charge::begin(tx, &realm.env, &sub, Purpose::Change, &change.at.month().to_string(), due)?;
        return ask(tx, realm, &sub, &charge);
    }
    if now < period.end {
        if sub.next_notice().is_none_or(|at| now < at) {
            return Ok(Step::Wait);
        }
        let (at, renews) = (period.end, sub.renews);
        // What was missed while nobody looked is told once.
        let mut sub = sub;
        while sub.next_notice().is_some_and(|at| now >= at) {
            sub.told += 1;
        }
        return moved(tx, realm, sub, Some(Notice::Expires { at, renews }));
    }
    if usage::current(tx, &sub.resource)?.is_some_and(|stretch| stretch.start < period.end) {
        usage::close::close(tx, &sub.resource, period.end)?;
        if sub.renews {
            let next = sub.next_terms().clone();
            usage::open_with(tx, &sub, &next.prices, &next.payment, period.end)?;
        }
        return Ok(Step::Again);
    }
    if !sub.renews {
        end::end(tx, realm, sub, Some(Notice::Ended))?;
        return Ok(Step::Again);
    }
    if sub.next_terms().price.is_zero() {
        let mut sub = settle::rolled(sub);
        write::put(tx, &realm.env, &mut sub)?;
        return Ok(Step::Again);
    }
    renew(tx, realm, &sub)
}

fn renew(tx: &mut Tx<'_>, realm: &Realm, sub: &Subscription) -> Result<Step, DbError> {
    let (period, price) = (sub.next_period().start.month().to_string(), sub.next_terms().price);
    let charge = charge::begin(tx, &realm.env, sub, Purpose::Renewal, &period, price)?;
    ask(tx, realm, sub, &charge)
}

fn moved(tx: &mut Tx<'_>, realm: &Realm, mut sub: Subscription, notice: Option<Notice>) -> Result<Step, DbError> {
    write::put(tx, &realm.env, &mut sub)?;
    if let Some(notice) = notice {
        notice::tell(tx, realm, &sub, &notice)?;
    }
    Ok(Step::Again)
}

/// A charge in the words of the till. What it is asked with is not kept in its row: the token is the subscription's or the stretch's.
/// Nobody is asked for what a credit pays in whole.
fn ask(tx: &mut Tx<'_>, realm: &Realm, sub: &Subscription, charge: &Charge) -> Result<Step, DbError> {
    if charge.cash().is_zero() {
        let paid = ChargeOutcome { succeeded: true, charge: String::new(), code: None, message: None };
        settle::settle(tx, realm, &charge.id, &paid)?;
        return Ok(Step::Again);
    }
    let lost = || DbError::Corrupt(format!("`{}` has nothing to be asked with", charge.id));
    let from = match charge.purpose {
        Purpose::Usage => usage::close::closing(tx, &sub.resource)?.and_then(|stretch| stretch.account()),
        Purpose::Change => sub.change.as_ref().and_then(|change| account(sub, &change.terms.payment)),
        Purpose::Renewal => account(sub, &sub.next_terms().payment).or_else(|| account(sub, &sub.terms.payment)),
        Purpose::Order => None,
    };
    Ok(Step::Ask(ChargeAsk { id: charge.id.clone(), from: from.ok_or_else(lost)?, amount: charge.cash(), period: charge.period.clone() }))
}

fn account(sub: &Subscription, payment: &Payment) -> Option<Account> {
    let token = payment.token.clone()?;
    Some(Account { resource: sub.resource.clone(), token, quote: payment.quote.clone(), line: payment.line.clone() })
}
