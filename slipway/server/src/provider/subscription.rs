//! Ending with the period, and asking money back, as the page `/billing` does.

use purser_db::{DbError, Tx};
use purser_provider::{Answer, ProviderError};
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_wire::error::code;
use purser_wire::subscription::{RefundDecided, RefundDecision, Renewal};
use slipway_billing::request_log::{self, deadline};
use slipway_billing::subscription::cancel::{When, subscription_cancel, subscription_keep};
use slipway_billing::subscription::change::SubscriptionError;
use slipway_billing::subscription::get::subscription_get;

use super::refusal;
use crate::billing;
use crate::cloud::Cloud;

/// `stands` is asked in the write itself: whether who asks may still.
pub async fn renewal(
    cloud: &Cloud,
    account: CloudAccountId,
    id: CloudResourceId,
    renews: bool,
    stands: impl Fn(&mut Tx<'_>) -> Result<bool, DbError> + Send + 'static,
) -> Answer<Renewal> {
    let (realm, of) = (cloud.realm.clone(), id.clone());
    let written = cloud.db.write(move |tx| {
        if !stands(tx)? {
            return Ok(None);
        }
        let now = realm.env.now();
        if renews {
            subscription_keep(tx, &realm, &account, &of)?;
        } else {
            subscription_cancel(tx, &realm, &account, &of, When::PeriodEnd)?;
        }
        let sub = subscription_get(tx, &of)?.ok_or(SubscriptionError::NotFound)?;
        Ok(Some(if sub.is_over() { now.min(sub.period().end) } else { sub.period().end }))
    });
    let stopped = || ProviderError::forbidden(code::CREDENTIALS_DISABLED, "the token was stopped");
    let ends_at = written.await.map_err(|e| refused(&e))?.ok_or_else(stopped)?;
    billing::hurry(cloud, &id).await;
    cloud.wake_jobs.notify_one();
    Ok(Renewal { id: (&id).into(), renews, ends_at })
}

pub async fn refund_request(cloud: &Cloud, account: CloudAccountId, id: CloudResourceId, reason: &str) -> Answer<RefundDecided> {
    let (realm, of, reason) = (cloud.realm.clone(), id.clone(), reason.to_owned());
    let written = cloud.db.write(move |tx| {
        let sub = subscription_get(tx, &of)?.filter(|sub| sub.account == account).ok_or(SubscriptionError::NotFound)?;
        let answer = request_log::refund_request(tx, &realm, &account, &of, &reason)?;
        Ok::<_, SubscriptionError>((answer, deadline(&sub)))
    });
    let (answer, deadline) = written.await.map_err(|e| refused(&e))?;
    billing::hurry(cloud, &id).await;
    cloud.wake_jobs.notify_one();
    let (decision, amount) = match answer {
        request_log::Answer::Refunded(amount) => (RefundDecision::Refunded, Some(amount)),
        request_log::Answer::NotRefundable { .. } => (RefundDecision::NotRefundable, None),
    };
    Ok(RefundDecided { id: (&id).into(), decision, amount, deadline: Some(deadline) })
}

/// What has no subscription is not there, to this call.
fn refused(e: &SubscriptionError) -> ProviderError {
    match e {
        SubscriptionError::Store(e) => refusal::store(e),
        e => refusal::public(e),
    }
}
