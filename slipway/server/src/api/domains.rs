//! Custom domains: host names in the account's own zones, connected to Workers.

use axum::extract::{Path, RawQuery, State};
use purser_values::name::HostName;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_workers::WorkersError;
use slipway_workers::name::Uuid;
use slipway_workers::view::{CustomDomain, OwnedHost};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::{existing, query, render};
use crate::abuse::hosts::{self, Host};
use crate::cloud::Shared;
use crate::{domain, events};

#[derive(Deserialize)]
pub struct Origin {
    hostname: String,
}

/// The body of `PUT …/domains/records`.
#[derive(Deserialize)]
pub struct Records {
    origins: Vec<Origin>,
    #[serde(default)]
    override_scope: bool,
    #[serde(default)]
    override_existing_origin: bool,
    #[serde(default)]
    override_existing_dns_record: bool,
}

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let wanted = query(text.as_deref(), "hostname");
    let all = cloud.workers.domain_list(account).await?;
    let shown: Vec<Value> = all.iter().filter(|d| wanted.as_ref().is_none_or(|w| w == d.hostname.as_str())).map(render::domain).collect();
    Ok(page(&shown, Page::of(text.as_deref())))
}

pub async fn get(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let id = domain_id(&id)?;
    let all = cloud.workers.domain_list(account).await?;
    let found = all.iter().find(|d| d.id == id).ok_or(WorkersError::DomainNotFound)?;
    Ok(ok(&render::domain(found)))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let before = cloud.workers.domain_list(account).await?;
    caller.workers(&cloud).domain_delete(account, &domain_id(&id)?).await?;
    domain::forget_hosts(&cloud, account, &before).await?;
    Ok(ok(&Value::Null))
}

/// What connecting these host names would change. Changes nothing.
pub async fn changeset(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    caller: Caller,
    Json(origins): Json<Vec<Origin>>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let replace = query(text.as_deref(), "replace_state").is_some_and(|v| v == "true");
    let owned = owned(&cloud, account, &origins).await?;
    let changes = cloud.workers.domain_changeset(account, &existing(&script)?, &owned, replace).await?;
    let shown = |domains: &[CustomDomain]| domains.iter().map(render::domain).collect::<Vec<_>>();
    let added: Vec<Value> = changes.added.iter().map(|hostname| json!({"hostname": hostname})).collect();
    let conflicting: Vec<Value> = changes
        .conflicting
        .iter()
        .map(|c| json!({"hostname": c.hostname, "external_dns_record_id": null, "external_cert_id": null, "service": c.script}))
        .collect();
    Ok(ok(&json!({
        "added": added, "removed": shown(&changes.removed), "updated": shown(&changes.updated), "conflicting": conflicting,
    })))
}

/// Connects the host names: first their records in the zone, then the Worker.
pub async fn records(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Records>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = existing(&script)?;
    let owned = owned(&cloud, account, &body.origins).await?;
    let hosts = owned.iter().map(|host| Host::in_zone(host.hostname.as_str(), &host.zone_name)).collect();
    hosts::give(&cloud, &caller, hosts).await?;
    let before = cloud.workers.domain_list(account).await?;
    domain::point_hosts(&cloud, account, &owned, body.override_existing_dns_record, caller.standing()).await?;
    let connected = caller.workers(&cloud).domain_put(account, &name, &owned, body.override_existing_origin, body.override_scope).await?;
    domain::forget_hosts(&cloud, account, &before).await?;
    if let Some(acme) = &cloud.acme {
        connected.iter().for_each(|domain| acme.want(&domain.hostname));
    }
    events::deployed(&cloud, account, &name);
    let shown: Vec<Value> = connected.iter().map(render::domain).collect();
    Ok(ok(&json!(shown)))
}

/// Each host name with the zone of the account that it lies in. One that lies in none is refused: nobody serves a name that is not theirs.
async fn owned(cloud: &Shared, account: &purser_values::id::CloudAccountId, origins: &[Origin]) -> Result<Vec<OwnedHost>, Failure> {
    let mut hosts = Vec::new();
    for origin in origins {
        let host: HostName = origin.hostname.parse().map_err(|e: purser_values::name::ParseNameError| Failure::invalid(e.to_string()))?;
        hosts.push(host);
    }
    domain::owned_hosts(cloud, account, hosts).await
}

fn domain_id(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| WorkersError::DomainNotFound.into())
}
