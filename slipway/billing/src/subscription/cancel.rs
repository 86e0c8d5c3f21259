//! `subscription_cancel`, `subscription_keep`, `subscription_pay`: what an owner or an orchestrator does to a running subscription.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudResourceId};
use slipway_accounts::realm::Realm;

use super::change::SubscriptionError;
use super::get::subscription_get;
use super::{State, Subscription, end, write};

/// When it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    PeriodEnd,
}

/// Ends the subscription. At the period's end everything goes on until then; now, nothing is given back
/// ([`crate::request_log`] is for that). Idempotent.
///
/// # Errors
/// When it is not the account's, or the store fails.
pub fn subscription_cancel(
    tx: &mut Tx<'_>,
    realm: &Realm,
    account: &CloudAccountId,
    resource: &CloudResourceId,
    when: When,
) -> Result<(), SubscriptionError> {
    let mut sub = own(tx, account, resource)?;
    if sub.is_over() {
        return Ok(());
    }
    // A period that is not paid has nothing to go on until.
    if when == When::Now || sub.state != State::Active {
        return Ok(end::end(tx, realm, sub, None)?);
    }
    sub.renews = false;
    sub.change = sub.change.filter(|change| change.at <= realm.env.now());
    Ok(write::put(tx, &realm.env, &mut sub)?)
}

/// Another period follows after all; for a domain, its renewal is chosen so.
///
/// # Errors
/// When it is not the account's, has ended, or nothing could pay for it.
pub fn subscription_keep(
    tx: &mut Tx<'_>,
    realm: &Realm,
    account: &CloudAccountId,
    resource: &CloudResourceId,
) -> Result<(), SubscriptionError> {
    let mut sub = own(tx, account, resource)?;
    if sub.is_over() {
        return Err(SubscriptionError::Over);
    }
    if sub.terms.price.is_positive() && sub.terms.payment.token.is_none() {
        return Err(SubscriptionError::NoPayment);
    }
    sub.renews = true;
    Ok(write::put(tx, &realm.env, &mut sub)?)
}

/// Tries a refused renewal at once instead of at its next turn.
///
/// # Errors
/// When it is not the account's, or the store fails.
pub fn subscription_pay(
    tx: &mut Tx<'_>,
    realm: &Realm,
    account: &CloudAccountId,
    resource: &CloudResourceId,
) -> Result<(), SubscriptionError> {
    let sub = own(tx, account, resource)?;
    if matches!(sub.state, State::PastDue { .. } | State::Suspended { .. }) {
        tx.execute("update bill_subscription set next_at = $2 where resource = $1", params![resource, realm.env.now()])?;
        write::hurry(tx, &realm.env, &sub)?;
    }
    Ok(())
}

pub(super) fn own(tx: &mut Tx<'_>, account: &CloudAccountId, resource: &CloudResourceId) -> Result<Subscription, SubscriptionError> {
    subscription_get(tx, resource)?.filter(|sub| sub.account == *account).ok_or(SubscriptionError::NotFound)
}

impl From<DbError> for SubscriptionError {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}
