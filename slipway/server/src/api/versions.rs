//! `workers/scripts/{name}/versions`: a version is code that is checked and kept, and routes no traffic until it is deployed.

use axum::extract::{Path, RawQuery, State};
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_workers::WorkersError;
use slipway_workers::name::VersionId;

use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok};
use super::upload::Form;
use super::{existing, render};
use crate::abuse::judge;
use crate::cloud::Shared;

pub async fn create(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller, form: Form) -> Answer {
    let mut parts = form.admit(&cloud, &caller.account.id).await?;
    let upload = parts.code().await?;
    judge::code(&cloud, caller.party(), &upload).await?;
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let version = caller.workers(&cloud).version_create(account, &existing(&script)?, upload, &caller.author()).await?;
    Ok(ok(&render::version(&version)))
}

pub async fn list(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let all = cloud.workers.version_list(account, &existing(&script)?).await?;
    let page = Page::of(query.as_deref());
    let shown: Vec<Value> =
        all.iter().skip((page.number - 1).saturating_mul(page.per_page)).take(page.per_page).map(render::version).collect();
    Ok(ok(&json!({"items": shown})))
}

pub async fn get(State(cloud): State<Shared>, Path((account, script, version)): Path<(String, String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let version = cloud.workers.version_get(account, &existing(&script)?, &id(&version)?).await?;
    Ok(ok(&render::version(&version)))
}

/// A version's id. What cannot be one is a version that does not exist.
pub fn id(text: &str) -> Result<VersionId, Failure> {
    text.parse().map_err(|_| WorkersError::VersionNotFound.into())
}
