//! What must go when a resource is removed: the scripts deployed with a token, the zone and the host names of a domain.

use purser_db::DbError;
use purser_provider::{Answer, ProviderError};
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use slipway_accounts::resource::Resource;
use slipway_dns::zone::ZoneError;
use slipway_dns::zone::remove::zone_remove;
use slipway_registrar::domain::Paid;
use slipway_registrar::domain::remove::{RemoveError, domain_remove};
use slipway_workers::WorkersError;
use slipway_workers::name::ScriptName;

use crate::cloud::Cloud;
use crate::domain::follow;

/// The account's scripts whose present version came in with a token of this resource.
///
/// # Errors
/// When the store fails.
pub async fn deployed_with(cloud: &Cloud, resource: &Resource) -> Result<Vec<ScriptName>, WorkersError> {
    let mut found = Vec::new();
    for script in cloud.workers.script_list(&resource.account).await? {
        let service = cloud.workers.script_get(&resource.account, &script.name).await?;
        if service.version.is_some_and(|version| version.author.id == resource.id.as_str()) {
            found.push(script.name);
        }
    }
    Ok(found)
}

/// Deletes the scripts that were deployed with the resource's token.
///
/// # Errors
/// When the store fails; then some may be gone already, and a repeat deletes the rest.
pub async fn scripts(cloud: &Cloud, resource: &Resource) -> Result<(), WorkersError> {
    for script in deployed_with(cloud, resource).await? {
        match cloud.workers.script_delete(&resource.account, &script, true).await {
            Ok(()) | Err(WorkersError::ScriptNotFound) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Disconnects every host name of the domain and ends its routes, then lets go of the zone and the domain in one write. It stays paid.
pub async fn domain(cloud: &Cloud, resource: &Resource, name: &DomainName) -> Answer<()> {
    let refuse = |e: WorkersError| ProviderError { retry_after: Some(1), ..ProviderError::internal(&e) };
    hosts(cloud, &resource.account, name).await.map_err(refuse)?;
    let (account, zone) = (resource.account.clone(), name.clone());
    let written = cloud.db.write(move |tx| -> Result<(), ReleaseError> {
        zone_remove(tx, &account, &zone)?;
        match domain_remove(tx, &account, &zone, Paid::Yes) {
            Ok(_) | Err(RemoveError::NotFound) => Ok(()),
            Err(e) => Err(e.into()),
        }
    });
    written.await.map_err(|e| match e {
        ReleaseError::Domain(RemoveError::Pending) => ProviderError::invalid_state("the domain's registration is not finished"),
        e => ProviderError { retry_after: Some(1), ..ProviderError::internal(&e) },
    })?;
    follow(cloud, name).await;
    Ok(())
}

/// Disconnects every host name that lies in the account's zone, and ends its routes.
///
/// # Errors
/// When the store fails.
pub async fn hosts(cloud: &Cloud, account: &CloudAccountId, name: &DomainName) -> Result<(), WorkersError> {
    cloud.workers.domain_release_zone(account, name.as_str()).await
}

#[derive(Debug, thiserror::Error)]
enum ReleaseError {
    #[error(transparent)]
    Zone(#[from] ZoneError),
    #[error(transparent)]
    Domain(#[from] RemoveError),
    #[error(transparent)]
    Store(#[from] DbError),
}
