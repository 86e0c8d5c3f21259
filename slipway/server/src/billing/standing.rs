//! What an account's sites do as its billing stands: a reconciler, run after every step and at the start.
//!
//! Suspended: every site answers an honest page. A plan that has ended and leaves the account without any: the Workers that stood on it are
//! deleted, as their owner was told by mail.

use std::collections::BTreeSet;

use purser_db::{DbError, Tx};
use purser_values::id::{CloudAccountId, CloudResourceId};
use slipway_accounts::account::get::{account_get, account_list};
use slipway_accounts::account::{Account, AccountState};
use slipway_accounts::resource::ResourceState;
use slipway_accounts::resource::end::resource_remove;
use slipway_accounts::resource::get::{resource_get, resource_list};
use slipway_accounts::service::Service;
use slipway_accounts::subscription::has_plan;
use slipway_accounts::suspension::account_is_suspended;
use slipway_accounts::token::revoke::token_revoke;
use slipway_billing::subscription::get::{is_suspended, subscription_get, subscription_list, suspended_accounts};
use slipway_billing::subscription::{Kind, Subscription};
use slipway_registrar::domain::renew::domain_renew;
use slipway_workers::WorkersError;

use crate::cloud::Cloud;
use crate::release;

#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    #[error(transparent)]
    Store(#[from] DbError),
    #[error(transparent)]
    Workers(#[from] WorkersError),
    #[error("the registry: {0}")]
    Registry(String),
}

/// Follows a subscription. Idempotent.
///
/// # Errors
/// When a part does not answer; the next step or start follows again.
pub async fn follow(cloud: &Cloud, resource: &CloudResourceId) -> Result<(), StandingError> {
    let id = resource.clone();
    let Some(sub) = cloud.db.read(move |tx| subscription_get(tx, &id)).await? else { return Ok(()) };
    match sub.kind {
        Kind::Domain => renewed(cloud, &sub).await,
        Kind::Plan => {
            if sub.is_over() {
                removed(cloud, &sub).await?;
            }
            account(cloud, &sub.account).await
        }
    }
}

/// Puts the account's sites on or off line: as its owner's freeze, its billing and the operator say.
///
/// # Errors
/// When the store fails.
pub async fn account(cloud: &Cloud, id: &CloudAccountId) -> Result<(), StandingError> {
    let of = id.clone();
    let off = cloud.db.read(move |tx| is_off(tx, &of)).await?;
    Ok(cloud.workers.account_suspend(id, off).await?)
}

fn is_off(tx: &mut Tx<'_>, id: &CloudAccountId) -> Result<bool, DbError> {
    let dark = account_get(tx, id)?.is_some_and(|account| account.state == AccountState::Frozen { dark: true });
    Ok(dark || is_suspended(tx, id)? || account_is_suspended(tx, id)?)
}

/// Brings accounts whose sites are off line, or should be, to what holds for them: a step that nobody followed, such as one that was lifted
/// while slipway was down, is followed here.
///
/// # Errors
/// When the store fails. An account that does not follow keeps no other from it.
pub async fn reconcile(cloud: &Cloud) -> Result<(), StandingError> {
    let now: BTreeSet<CloudAccountId> = cloud.workers.suspended().await?.into_iter().collect();
    let known = now.clone();
    let differing = cloud.db.read(move |tx| -> Result<Vec<CloudAccountId>, DbError> {
        let dark = |account: &Account| account.state == AccountState::Frozen { dark: true };
        let mut looked: BTreeSet<CloudAccountId> = account_list(tx)?.into_iter().filter(dark).map(|account| account.id).collect();
        looked.extend(suspended_accounts(tx)?);
        looked.extend(known.iter().cloned());
        let mut differing = Vec::new();
        for id in looked {
            if is_off(tx, &id)? != known.contains(&id) {
                differing.push(id);
            }
        }
        Ok(differing)
    });
    for id in differing.await? {
        if let Err(e) = account(cloud, &id).await {
            tracing::error!(account = %id, error = %e, "an account's sites do not follow what holds for it yet");
        }
    }
    Ok(())
}

/// At the start: whoever is suspended stays so.
///
/// # Errors
/// When the store fails.
pub async fn resume(cloud: &Cloud) -> Result<(), StandingError> {
    for id in cloud.db.read(suspended_accounts).await? {
        account(cloud, &id).await?;
    }
    Ok(())
}

/// The plan is over: its order counts as removed, and what stood on it goes when no other plan is there.
async fn removed(cloud: &Cloud, sub: &Subscription) -> Result<(), StandingError> {
    let (account, id, now) = (sub.account.clone(), sub.resource.clone(), cloud.env.now());
    let stood = cloud.db.write(move |tx| -> Result<_, DbError> {
        resource_remove(tx, &id, now)?;
        let found = resource_list(tx, &account)?;
        // One that is suspended may still be paid.
        let others = subscription_list(tx, &account)?.iter().any(|sub| sub.kind == Kind::Plan && !sub.is_over());
        if others || has_plan(tx, &account)? { Ok(Vec::new()) } else { Ok(found) }
    });
    for resource in stood.await?.into_iter().filter(|r| r.service == Service::Workers && r.state == ResourceState::Complete) {
        let id = resource.id.clone();
        // First, so that nothing new is deployed with it while the old is deleted.
        cloud.db.write(move |tx| token_revoke(tx, &id, now)).await?;
        release::scripts(cloud, &resource).await?;
        let id = resource.id.clone();
        cloud.db.write(move |tx| resource_remove(tx, &id, now)).await?;
        tracing::info!(resource = %resource.id, "Workers went with the last plan of their account");
    }
    Ok(())
}

/// A domain that was paid for another year is renewed at the registry.
async fn renewed(cloud: &Cloud, sub: &Subscription) -> Result<(), StandingError> {
    let (Some(registrar), false) = (&cloud.registrar, sub.number == 0) else { return Ok(()) };
    let (account, id) = (sub.account.clone(), sub.resource.clone());
    let Some(resource) = cloud.db.read(move |tx| resource_get(tx, &account, &id)).await? else { return Ok(()) };
    let until = sub.period().end;
    domain_renew(registrar, &resource.id, until).await.map_err(|e| StandingError::Registry(e.to_string()))
}
