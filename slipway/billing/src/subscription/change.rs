//! `subscription_change`: another plan.
//!
//! A dearer plan begins at once, with a period of its own: its price less the unused part of the old plan is charged with the new order's
//! payment token. A cheaper one takes over when the period ends, or at once: then the days of the period stay, and the difference for what is
//! left of it is given back.

use purser_db::{DbError, Tx};
use purser_values::Money;
use purser_values::error::{Kind as ErrorKind, PublicError};
use purser_values::id::{CloudAccountId, CloudResourceId};
use slipway_accounts::realm::Realm;

use super::cancel::{When, own};
use super::{Change, Kind, State, Subscription, Terms, write};
use crate::invoice::Line;
use crate::proration::part;
use crate::{charge, refund, usage};

#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    #[error("there is no such subscription")]
    NotFound,
    #[error("the subscription has ended; order it anew")]
    Over,
    #[error("the last renewal is not paid; pay it first")]
    NotPaid,
    #[error("that is the plan already")]
    SamePlan,
    #[error("only a plan can be changed")]
    NotAPlan,
    #[error("another change is under way; wait for it")]
    Changing,
    #[error("a dearer plan begins at once; it cannot wait for the period's end")]
    DearerLater,
    #[error("nothing is there that could pay for it; order it with a payment token")]
    NoPayment,
    #[error("the plans are in different currencies")]
    Currency,
    #[error(transparent)]
    Store(DbError),
}

impl PublicError for SubscriptionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "subscription_not_found",
            Self::Over => "subscription_over",
            Self::NotPaid => "subscription_not_paid",
            Self::SamePlan => "plan_same",
            Self::NotAPlan => "plan_fixed",
            Self::Changing => "plan_changing",
            Self::DearerLater => "plan_dearer_later",
            Self::NoPayment => "requires_payment_credentials",
            Self::Currency => "currency_mismatch",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::SamePlan | Self::NotAPlan | Self::DearerLater | Self::Currency => ErrorKind::Invalid,
            Self::Over | Self::NotPaid | Self::Changing => ErrorKind::Conflict,
            Self::NoPayment => ErrorKind::Payment,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

/// What a change costs or gives back, before anybody decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proration {
    /// The unused part of the old plan.
    pub credit: Money,
    /// The new plan's price for its first period, or for what is left of this one.
    pub charge: Money,
}

/// # Errors
/// When the subscription cannot be changed to this plan.
pub fn proration(sub: &Subscription, to: &Terms, at: purser_values::Timestamp) -> Result<Proration, SubscriptionError> {
    may_change(sub, to)?;
    let (period, left) = (sub.period(), sub.period().left(at));
    let credit = part(sub.terms.price, left, period.seconds());
    let dearer = to.price.minor() > sub.terms.price.minor();
    Ok(Proration { credit, charge: if dearer { to.price } else { part(to.price, left, period.seconds()) } })
}

fn may_change(sub: &Subscription, to: &Terms) -> Result<(), SubscriptionError> {
    if sub.kind != Kind::Plan {
        return Err(SubscriptionError::NotAPlan);
    }
    match sub.state {
        State::Active => {}
        State::PastDue { .. } | State::Suspended { .. } => return Err(SubscriptionError::NotPaid),
        State::Ended { .. } => return Err(SubscriptionError::Over),
    }
    if to.plan == sub.terms.plan {
        return Err(SubscriptionError::SamePlan);
    }
    if to.price.currency() != sub.terms.price.currency() {
        return Err(SubscriptionError::Currency);
    }
    Ok(())
}

/// Changes the plan, or writes down that it is to be changed. For a dearer plan `to` brings its own payment.
///
/// # Errors
/// See [`SubscriptionError`]; then nothing is changed.
pub fn subscription_change(
    tx: &mut Tx<'_>,
    realm: &Realm,
    account: &CloudAccountId,
    resource: &CloudResourceId,
    to: Terms,
    when: When,
) -> Result<(), SubscriptionError> {
    let mut sub = own(tx, account, resource)?;
    let now = realm.env.now();
    may_change(&sub, &to)?;
    if charge::open_of(tx, resource)?.is_some() || sub.change.as_ref().is_some_and(|change| change.at <= now) {
        return Err(SubscriptionError::Changing);
    }
    let dearer = to.price.minor() > sub.terms.price.minor();
    if dearer && when == When::PeriodEnd {
        return Err(SubscriptionError::DearerLater);
    }
    if dearer && to.payment.token.is_none() {
        return Err(SubscriptionError::NoPayment);
    }
    let end = sub.period().end;
    if now >= end {
        // The renewal comes first: its step is due already.
        return Err(SubscriptionError::Changing);
    }
    sub.renews = true;
    if dearer {
        sub.change = Some(Change { terms: to, at: now });
        write::put(tx, &realm.env, &mut sub)?;
        return Ok(write::hurry(tx, &realm.env, &sub)?);
    }
    // The token of the dearer plan pays for less as well.
    let to = Terms { payment: sub.terms.payment.clone(), ..to };
    if when == When::PeriodEnd {
        sub.change = Some(Change { terms: to, at: end });
        return Ok(write::put(tx, &realm.env, &mut sub)?);
    }
    cheaper_now(tx, realm, sub, to)
}

fn cheaper_now(tx: &mut Tx<'_>, realm: &Realm, sub: Subscription, to: Terms) -> Result<(), SubscriptionError> {
    let (now, period) = (realm.env.now(), sub.period());
    let Proration { credit, charge } = proration(&sub, &to, now)?;
    let back = credit.checked_sub(charge).map_err(|e| DbError::Corrupt(e.to_string()))?;
    let unused = Line::period(format!("Unused part of plan `{}`", sub.terms.plan), credit, now, period.end);
    let rest = Line::period(
        format!("Rest of the period on plan `{}`", to.plan),
        Money::from_minor(-charge.minor(), charge.currency()),
        now,
        period.end,
    );
    usage::close::close(tx, &sub.resource, now)?;
    let mut sub = Subscription { terms: to, change: None, ..sub };
    usage::open(tx, &sub, now)?;
    write::put(tx, &realm.env, &mut sub)?;
    let lines = [unused, rest].into_iter().filter(|line| line.amount_minor != 0).collect();
    refund::begin(tx, &realm.env, &sub.resource, back, "plan_changed", lines)?;
    Ok(write::hurry(tx, &realm.env, &sub)?)
}
