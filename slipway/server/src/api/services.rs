//! `GET workers/services/{name}` and `GET workers/workers/{name}`: what wrangler asks before and after a deployment.

use axum::extract::{Path, State};
use serde_json::json;
use slipway_accounts::token::Permission;

use super::caller::Caller;
use super::envelope::{Answer, ok};
use super::{existing, render};
use crate::cloud::Shared;

pub async fn get(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let service = cloud.workers.script_get(account, &existing(&script)?).await?;
    Ok(ok(&render::service(&service)))
}

/// Must hold `subdomain`, or wrangler stops. Its `url` is what wrangler prints instead of a name that is not ours.
pub async fn worker(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = existing(&script)?;
    let service = cloud.workers.script_get(account, &name).await?;
    let mut value = render::script(&service.script, service.version.as_ref());
    value["name"] = json!(name);
    value["id"] = json!(service.script.tag);
    value["subdomain"] = render::subdomain(service.script.on_subdomain);
    if let Some(host) = cloud.workers.script_hostname(account, &name).await? {
        value["subdomain"]["url"] = json!(format!("https://{host}"));
    }
    Ok(ok(&value))
}
