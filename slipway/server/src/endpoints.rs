//! Where deployed code answers: below the common domain when that is switched on, and on the domains connected to it.

use purser_values::id::CloudAccountId;
use purser_values::name::HostName;
use purser_wire::resource::{Endpoint, EndpointKind};
use slipway_accounts::resource::Resource;
use slipway_workers::WorkersError;
use slipway_workers::name::ScriptName;

use crate::cloud::Cloud;
use crate::release;

/// The addresses of one script.
///
/// # Errors
/// When the store fails.
pub async fn of_script(cloud: &Cloud, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<Endpoint>, WorkersError> {
    let common = cloud.workers.script_hostname(account, script).await?;
    let connected = cloud.workers.domain_list(account).await?;
    let own = connected.into_iter().filter(|domain| domain.script == *script).map(|domain| domain.hostname);
    Ok(common.into_iter().chain(own).map(|host| url(&host)).collect())
}

/// The addresses of everything that was deployed with a resource's token.
///
/// # Errors
/// When the store fails.
pub async fn of_resource(cloud: &Cloud, resource: &Resource) -> Result<Vec<Endpoint>, WorkersError> {
    let mut all = Vec::new();
    for script in release::deployed_with(cloud, resource).await? {
        all.extend(of_script(cloud, &resource.account, &script).await?);
    }
    Ok(all)
}

fn url(host: &HostName) -> Endpoint {
    Endpoint { kind: EndpointKind::Url, value: format!("https://{host}") }
}
