//! Looking subscriptions up.

use purser_db::jobs::{NewJob, enqueue};
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::{CloudAccountId, CloudResourceId};
use serde_json::json;

use super::{JOB, State, Subscription, read};
use crate::limits::BATCH;

/// # Errors
/// When the store fails.
pub fn subscription_get(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Option<Subscription>, DbError> {
    tx.query_opt("select * from bill_subscription where resource = $1", params![resource])?.as_ref().map(read).transpose()
}

/// The account's, those that ended too, oldest first.
///
/// # Errors
/// When the store fails.
pub fn subscription_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Subscription>, DbError> {
    let select = "select * from bill_subscription where account = $1 order by created_at, resource";
    tx.query(select, params![account])?.iter().map(read).collect()
}

/// The plan whose included amounts the account's use counts against: the dearest of those that stand.
///
/// # Errors
/// When the store fails.
pub fn plan_of(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Option<Subscription>, DbError> {
    let select = "select * from bill_subscription where account = $1 and kind = 'plan' and state in ('active', 'past_due')
                  order by price_minor desc, created_at, resource limit 1";
    tx.query_opt(select, params![account])?.as_ref().map(read).transpose()
}

/// Whether nothing that the account has runs any more because it was not paid: it has plans, and each of them is suspended or ended,
/// and one is suspended.
///
/// # Errors
/// When the store fails.
pub fn is_suspended(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<bool, DbError> {
    let plans: Vec<Subscription> = subscription_list(tx, account)?.into_iter().filter(|sub| sub.kind == super::Kind::Plan).collect();
    let stands = plans.iter().any(|sub| matches!(sub.state, State::Active | State::PastDue { .. }));
    Ok(!stands && plans.iter().any(|sub| matches!(sub.state, State::Suspended { .. })))
}

/// The accounts of which [`is_suspended`] may hold.
///
/// # Errors
/// When the store fails.
pub fn suspended_accounts(tx: &mut Tx<'_>) -> Result<Vec<CloudAccountId>, DbError> {
    let rows = tx.query("select distinct account from bill_subscription where state = 'suspended' order by account", params![])?;
    let accounts: Vec<CloudAccountId> = rows.iter().map(|row| row.parse("account")).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for account in accounts {
        if is_suspended(tx, &account)? {
            found.push(account);
        }
    }
    Ok(found)
}

/// Enqueues anew what is due: after a start, whose predecessor may hold its jobs' leases. Answers how many.
///
/// # Errors
/// When the store fails.
pub fn billing_resume(tx: &mut Tx<'_>, env: &Env) -> Result<usize, DbError> {
    let due = "select resource from bill_subscription where state <> 'ended' and next_at <= $1
               union select resource from bill_usage where state <> 'open' and token is not null
               order by resource limit $2";
    let rows = tx.query(due, params![env.now(), BATCH])?;
    for row in &rows {
        let resource: CloudResourceId = row.parse("resource")?;
        enqueue(tx, env, &NewJob::now(env, JOB, json!({"resource": resource})))?;
    }
    Ok(rows.len())
}
