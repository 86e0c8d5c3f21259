//! Resources after their creation: how they are shown, rotated and removed.

use std::time::Duration;

use purser_db::DbError;
use purser_provider::{AccountCall, Answer, ProviderError};
use purser_values::Secret;
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_wire::id::AgentId;
use purser_wire::refund::RefundReason;
use purser_wire::resource::{AccessConfiguration, Endpoint, EndpointKind, ResourceEnvelope, ResourceState as Wire};
use slipway_accounts::account::get::account_get;
use slipway_accounts::link::get::link_is_active;
use slipway_accounts::resource::begin::ResourceBeginError;
use slipway_accounts::resource::end::resource_remove;
use slipway_accounts::resource::get::resource_get;
use slipway_accounts::resource::{Resource, ResourceState};
use slipway_accounts::service::Service;
use slipway_accounts::subscription::{SubscriptionCancelError, subscription_cancel};
use slipway_accounts::suspension::{Calling, call_is_suspended};
use slipway_accounts::token::revoke::token_revoke;
use tokio::time::timeout;

use super::manifest::{ACCOUNT_ID, API_BASE_URL, API_TOKEN, api_url};
use super::{catalogue, order, quote, refusal, undo};
use crate::cloud::{Cloud, Shared};
use crate::{billing, endpoints, release};

/// The resource as it is. A token is never shown again.
pub async fn get(cloud: &Cloud, account: CloudAccountId, id: CloudResourceId) -> Answer<ResourceEnvelope> {
    let resource = find(cloud, account, id).await?;
    render(cloud, &resource, None).await
}

/// An order that is older than this was delivered, whatever the orchestrator says: removing it gives nothing back. In seconds.
const CANCEL_S: i64 = 86_400;

/// How long a removal waits for the last charges of its use.
const CHARGE_FIRST: Duration = Duration::from_secs(10);

/// Ends what the resource gave. Idempotent.
pub async fn remove(cloud: &Cloud, account: CloudAccountId, id: CloudResourceId) -> Answer<ResourceEnvelope> {
    let resource = find(cloud, account, id).await?;
    if resource.state == ResourceState::Pending {
        return Err(ProviderError::invalid_state("the order is not finished; repeat it with its key first"));
    }
    end(cloud, resource, Why::Unwanted).await
}

/// Undoes an order that nobody got anything of: what was charged is given back. Idempotent.
pub async fn cancel(cloud: &Shared, account: CloudAccountId, id: CloudResourceId) -> Answer<ResourceEnvelope> {
    let mut resource = find(cloud, account.clone(), id.clone()).await?;
    if resource.state == ResourceState::Pending {
        // Only its end tells whether anything was paid or bought.
        match order::drive(cloud, resource).await {
            Err(e) if e.is_transient() => return Err(e),
            Ok(_) | Err(_) => resource = find(cloud, account, id).await?,
        }
    }
    let delivered = cloud.env.now() > resource.created_at.plus_secs(CANCEL_S);
    if resource.service == Service::Domain && resource.state == ResourceState::Complete && !delivered {
        undo::domain(cloud, &resource, &quote::domain_of(&resource.configuration)?).await?;
        resource = find(cloud, resource.account, resource.id).await?;
    }
    end(cloud, resource, if delivered { Why::Unwanted } else { Why::Undone }).await
}

/// Why a resource ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Unwanted,
    Undone,
}

async fn end(cloud: &Cloud, resource: Resource, why: Why) -> Answer<ResourceEnvelope> {
    let removed = ResourceEnvelope::new((&resource.id).into(), Wire::Removed);
    match resource.state {
        // What failed after it was paid is given back already.
        ResourceState::Removed | ResourceState::Failed(_) => return Ok(removed),
        ResourceState::Pending => return Err(ProviderError::unavailable("the order is not finished", 1)),
        ResourceState::Complete => {}
    }
    // A name that the registry took back is settled by now; any other is not undone.
    let refund = (why == Why::Undone && resource.service != Service::Domain).then_some(RefundReason::Undone);
    if resource.service == Service::Workers {
        // First, so that nothing new is deployed with it while the old is deleted.
        revoke(cloud, &resource).await?;
        release::scripts(cloud, &resource).await.map_err(|e| refusal::workers(&e))?;
    }
    if resource.service == Service::Domain {
        release::domain(cloud, &resource, &quote::domain_of(&resource.configuration)?).await?;
    }
    let (env, realm, id, is_plan) = (cloud.env.clone(), cloud.realm.clone(), resource.id.clone(), resource.service.is_plan());
    let written = cloud.db.write(move |tx| {
        if resource.service.is_plan() {
            subscription_cancel(tx, &resource, env.now())?;
        }
        billing::ended(tx, &realm, &resource)?;
        if let Some(reason) = &refund {
            billing::give_back(tx, &env, &resource.id, reason)?;
        }
        resource_remove(tx, &resource.id, env.now()).map_err(SubscriptionCancelError::from)
    });
    written.await.map_err(|e| match e {
        SubscriptionCancelError::InUse(_) => ProviderError::invalid_state(e.to_string()),
        SubscriptionCancelError::Store(e) => refusal::store(&e),
    })?;
    if is_plan {
        // Use is charged before we say that it is over: then the money that was set aside can go. What fails or takes long is the queue's,
        // which has time for it on the other side too.
        if timeout(CHARGE_FIRST, billing::hurry(cloud, &id)).await.is_err() {
            tracing::warn!(resource = %id, "the use of what is removed is charged later");
        }
    }
    cloud.wake_jobs.notify_one();
    Ok(removed)
}

async fn revoke(cloud: &Cloud, resource: &Resource) -> Answer<()> {
    let (id, now) = (resource.id.clone(), cloud.env.now());
    cloud.db.write(move |tx| token_revoke(tx, &id, now)).await.map(drop).map_err(|e| refusal::store(&e))
}

/// A new token; the old one is dead with the same write.
pub async fn rotate(cloud: &Cloud, call: &AccountCall, id: CloudResourceId) -> Answer<ResourceEnvelope> {
    let link = super::link_of(call)?;
    let resource = find(cloud, super::account_of(call)?, id).await?;
    if resource.service != Service::Workers {
        return Err(ProviderError::not_supported("rotating what has no secret"));
    }
    if resource.state != ResourceState::Complete {
        return Err(ProviderError::invalid_state("only a resource that works can be rotated"));
    }
    let (env, rotated) = (cloud.env.clone(), resource.clone());
    let written = cloud.db.write(move |tx| -> Result<_, DbError> {
        let account = account_get(tx, &rotated.account)?.ok_or(DbError::NoRow)?;
        if !account.state.is_active() {
            return Ok(Err(ResourceBeginError::AccountFrozen));
        }
        let agent = rotated.agent.as_ref().map(AgentId::as_str);
        if call_is_suspended(tx, Calling { account: &rotated.account, link: link.as_ref(), grant: None, agent })? {
            return Ok(Err(ResourceBeginError::Suspended));
        }
        // the owner may have cut it off since the bearer token was looked at
        if let Some(link) = &link
            && !link_is_active(tx, link, &rotated.account)?
        {
            return Ok(Err(ResourceBeginError::LinkCut));
        }
        token_revoke(tx, &rotated.id, env.now())?;
        order::mint(tx, &env, &rotated, link.as_ref()).map(Ok)
    });
    let token = written.await.map_err(|e| refusal::store(&e))?.map_err(|e| refusal::begin(&e))?;
    render(cloud, &resource, Some(token)).await
}

/// Another account's resource does not exist.
async fn find(cloud: &Cloud, account: CloudAccountId, id: CloudResourceId) -> Answer<Resource> {
    let found = cloud.db.read(move |tx| resource_get(tx, &account, &id)).await.map_err(|e| refusal::store(&e))?;
    found.ok_or_else(|| ProviderError::not_found("resource"))
}

/// The envelope of a resource, with the token if it was made just now.
pub async fn render(cloud: &Cloud, resource: &Resource, token: Option<Secret<String>>) -> Answer<ResourceEnvelope> {
    let id = (&resource.id).into();
    let state = match &resource.state {
        ResourceState::Pending => Wire::Pending,
        ResourceState::Removed => Wire::Removed,
        ResourceState::Failed(why) => Wire::Error(why.clone()),
        ResourceState::Complete => {
            let mut envelope = ResourceEnvelope::complete(id, access(cloud, resource, token).await?);
            envelope.endpoints = reachable(cloud, resource).await?;
            return Ok(envelope);
        }
    };
    Ok(ResourceEnvelope::new(id, state))
}

async fn access(cloud: &Cloud, resource: &Resource, token: Option<Secret<String>>) -> Answer<Option<AccessConfiguration>> {
    match resource.service {
        Service::Free | Service::Paid => Ok(None),
        Service::Domain => {
            let name = quote::domain_of(&resource.configuration)?;
            Ok(Some(AccessConfiguration::default().with(catalogue::DOMAIN, name.as_str())))
        }
        Service::Workers => {
            let id = resource.account.clone();
            let account = cloud.db.read(move |tx| account_get(tx, &id)).await.map_err(|e| refusal::store(&e))?;
            let account = account.ok_or_else(|| ProviderError::internal(&DbError::NoRow))?;
            let url = api_url(&cloud.public_url).map_err(|e| ProviderError::internal(&e))?;
            let access = AccessConfiguration::default().with(ACCOUNT_ID, account.hex.as_str()).with(API_BASE_URL, url.as_str());
            Ok(Some(match token {
                Some(token) => access.with(API_TOKEN, token.expose().as_str()),
                None => access,
            }))
        }
    }
}

/// Where the resource can be reached: a domain by its name, access to the runtime by what was deployed with it.
async fn reachable(cloud: &Cloud, resource: &Resource) -> Answer<Vec<Endpoint>> {
    match resource.service {
        Service::Free | Service::Paid => Ok(Vec::new()),
        Service::Domain => {
            let name = quote::domain_of(&resource.configuration)?;
            Ok(vec![Endpoint { kind: EndpointKind::Domain, value: name.to_string() }])
        }
        Service::Workers => endpoints::of_resource(cloud, resource).await.map_err(|e| refusal::workers(&e)),
    }
}
