//! `workers/subdomain` and `workers/scripts/{name}/subdomain`: the account's label, and whether a Worker answers below it.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;
use slipway_accounts::token::Permission;
use slipway_workers::name::{ParseNameError, SubdomainName};
use slipway_workers::view::ScriptSubdomain;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::{existing, render};
use crate::abuse::hosts::{self, Host};
use crate::cloud::Shared;
use crate::events;

#[derive(Deserialize)]
pub struct NewSubdomain {
    subdomain: String,
}

#[derive(Deserialize)]
pub struct Switch {
    enabled: bool,
    #[serde(default)]
    previews_enabled: Option<bool>,
}

pub async fn get(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let subdomain = cloud.workers.subdomain_get(account).await?;
    Ok(ok(&json!({"subdomain": subdomain.name})))
}

pub async fn put(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<NewSubdomain>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name: SubdomainName = body.subdomain.parse().map_err(|e: ParseNameError| Failure::invalid(e.to_string()))?;
    let on = cloud.workers.script_list(account).await?.into_iter().filter(|script| script.on_subdomain.is_on());
    let hosts = on.filter_map(|script| Host::of_worker(&cloud, &script.name, &name)).chain(Host::of_account(&cloud, &name)).collect();
    hosts::give(&cloud, &caller, hosts).await?;
    let subdomain = caller.workers(&cloud).subdomain_put(account, &name).await?;
    Ok(ok(&json!({"subdomain": subdomain.name})))
}

pub async fn script_get(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let service = cloud.workers.script_get(account, &existing(&script)?).await?;
    Ok(ok(&render::subdomain(service.script.on_subdomain)))
}

pub async fn script_put(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Switch>,
) -> Answer {
    let wanted = ScriptSubdomain { enabled: body.enabled, previews_enabled: body.previews_enabled.unwrap_or(false) };
    switch(&cloud, &caller, &account, &script, wanted).await
}

pub async fn script_delete(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    switch(&cloud, &caller, &account, &script, ScriptSubdomain { enabled: false, previews_enabled: false }).await
}

async fn switch(cloud: &Shared, caller: &Caller, account: &str, script: &str, wanted: ScriptSubdomain) -> Answer {
    let account = caller.within(cloud, account, Permission::Workers).await?;
    let name = existing(script)?;
    if wanted.is_on() {
        let below = cloud.workers.subdomain_get(account).await?.name;
        hosts::give(cloud, caller, Host::of_worker(cloud, &name, &below).into_iter().collect()).await?;
    }
    let now = caller.workers(cloud).script_subdomain_put(account, &name, wanted).await?;
    events::deployed(cloud, account, &name);
    Ok(ok(&render::subdomain(now)))
}
