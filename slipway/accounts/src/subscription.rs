//! Subscriptions: a plan that an account has, from when to when it is paid. Each order of a plan is a subscription of its own.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudResourceId, SubscriptionId};
use purser_values::{Env, Money, Timestamp};

use crate::resource::Resource;

/// Starts the subscription that a plan's order is for; a repeat finds the first one.
///
/// # Errors
/// When the store fails.
pub fn subscription_start(tx: &mut Tx<'_>, env: &Env, resource: &Resource, price: Money) -> Result<(), DbError> {
    let now = env.now();
    let insert = "insert into cloud_subscription (id, account, resource, plan, state, price_minor, currency, period_start, period_end)
                  values ($1, $2, $3, $4, 'active', $5, $6, $7, $8) on conflict (resource) do nothing";
    let values = params![
        SubscriptionId::mint(env),
        resource.account,
        resource.id,
        resource.service.id(),
        price.minor(),
        price.currency(),
        now,
        now.plus_months(1)
    ];
    tx.execute(insert, values).map(drop)
}

/// How a subscription stands, as whoever bills it knows.
#[derive(Clone, Debug)]
pub struct Standing {
    pub plan: String,
    pub price: Money,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    /// `active`, `suspended` or `cancelled`.
    pub state: &'static str,
    pub ended_at: Option<Timestamp>,
}

/// Follows what billing has found. A plan that was cancelled stays so.
///
/// # Errors
/// When the store fails.
pub fn subscription_set(tx: &mut Tx<'_>, resource: &CloudResourceId, standing: &Standing) -> Result<(), DbError> {
    let update = "update cloud_subscription set plan = $2, price_minor = $3, currency = $4, period_start = $5, period_end = $6, state = $7,
                      cancelled_at = $8
                  where resource = $1 and state <> 'cancelled'";
    let Standing { plan, price, period_start, period_end, state, ended_at } = standing;
    tx.execute(update, params![resource, plan, price.minor(), price.currency(), period_start, period_end, *state, ended_at])?;
    // The order is for the plan that it has become.
    tx.execute("update cloud_resource set service = $2 where id = $1 and service <> $2", params![resource, plan]).map(drop)
}

#[derive(Debug, thiserror::Error)]
pub enum SubscriptionCancelError {
    #[error("`{0}` needs a plan and this is the last one; remove it first")]
    InUse(CloudResourceId),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Ends a subscription, unless something still stands on it.
///
/// # Errors
/// When it is the account's last plan and access to the runtime needs one, or the store fails.
pub fn subscription_cancel(tx: &mut Tx<'_>, resource: &Resource, now: Timestamp) -> Result<(), SubscriptionCancelError> {
    let update = "update cloud_subscription set state = 'cancelled', cancelled_at = $2 where resource = $1 and state = 'active'";
    tx.execute(update, params![resource.id, now])?;
    if has_plan(tx, &resource.account)? {
        return Ok(());
    }
    let needs = "select id from cloud_resource where account = $1 and service = 'workers' and state in ('pending', 'complete')
                 order by created_at limit 1";
    match tx.query_opt(needs, params![resource.account])? {
        Some(row) => Err(SubscriptionCancelError::InUse(row.parse("id")?)),
        None => Ok(()),
    }
}

/// Whether the account has any plan now.
///
/// # Errors
/// When the store fails.
pub fn has_plan(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<bool, DbError> {
    let select = "select 1 as one from cloud_subscription where account = $1 and state = 'active'";
    Ok(tx.query_opt(select, params![account])?.is_some())
}
