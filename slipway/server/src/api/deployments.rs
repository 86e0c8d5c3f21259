//! `workers/scripts/{name}/deployments`: which version answers. Also how a rollback is done.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_workers::WorkersError;
use slipway_workers::name::Uuid;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::{existing, query, render, versions};
use crate::cloud::Shared;
use crate::events;

/// The body of a new deployment; what else clients send does not matter here.
#[derive(Deserialize)]
pub struct NewDeployment {
    versions: Vec<Share>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Share {
    version_id: String,
    percentage: f64,
}

pub async fn list(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let all = cloud.workers.deployment_list(account, &existing(&script)?).await?;
    let all: Vec<Value> = all.iter().map(render::deployment).collect();
    Ok(ok(&json!({"deployments": all})))
}

pub async fn get(
    State(cloud): State<Shared>,
    Path((account, script, deployment)): Path<(String, String, String)>,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let wanted: Uuid = deployment.parse().map_err(|_| WorkersError::DeploymentNotFound)?;
    let all = cloud.workers.deployment_list(account, &existing(&script)?).await?;
    let found = all.iter().find(|d| d.id == wanted).ok_or(WorkersError::DeploymentNotFound)?;
    Ok(ok(&render::deployment(found)))
}

pub async fn create(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    caller: Caller,
    Json(body): Json<NewDeployment>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = existing(&script)?;
    let versions =
        body.versions.iter().map(|share| Ok((versions::id(&share.version_id)?, share.percentage))).collect::<Result<Vec<_>, Failure>>()?;
    if query(text.as_deref(), "force").is_none_or(|v| v != "true") {
        for (version, _) in &versions {
            let changed = cloud.workers.secrets_changed_since(account, &name, version).await?;
            if !changed.is_empty() {
                let names: Vec<&str> = changed.iter().map(|name| name.as_str()).collect();
                return Err(WorkersError::SecretsChanged(names.join(", ")).into());
            }
        }
    }
    let annotations = body.annotations.unwrap_or_default();
    let deployment = caller.workers(&cloud).deployment_create(account, &name, &versions, annotations, &caller.author()).await?;
    events::deployed(&cloud, account, &name);
    Ok(ok(&render::deployment(&deployment)))
}
