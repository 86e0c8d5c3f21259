//! `workers/scripts`: list, upload (which deploys), delete.

use axum::extract::{Path, RawQuery, State};
use serde_json::{Value, json};
use slipway_accounts::token::Permission;

use super::caller::Caller;
use super::envelope::{Answer, Page, ok, page};
use super::upload::Form;
use super::{existing, named, query, render};
use crate::abuse::judge;
use crate::cloud::Shared;
use crate::{domain, events};

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(query): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let mut all = Vec::new();
    for script in cloud.workers.script_list(account).await? {
        let service = cloud.workers.script_get(account, &script.name).await?;
        all.push(render::script(&service.script, service.version.as_ref()));
    }
    Ok(page(&all, Page::of(query.as_deref())))
}

/// A repeated upload of the same code is one deployment: clients repeat after a failure of ours.
pub async fn upload(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller, form: Form) -> Answer {
    let mut parts = form.admit(&cloud, &caller.account.id).await?;
    let upload = parts.code().await?;
    judge::code(&cloud, caller.party(), &upload).await?;
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = named(&script)?;
    let deployed = caller.workers(&cloud).script_upload(account, &name, upload, &caller.author()).await?;
    events::deployed(&cloud, account, &name);
    let mut value = render::script(&deployed.script, Some(&deployed.version));
    value["deployment_id"] = json!(deployed.version.id.as_str().replace('-', ""));
    Ok(ok(&value))
}

pub async fn delete(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let force = query(text.as_deref(), "force").is_some_and(|v| v == "true");
    let before = cloud.workers.domain_list(account).await?;
    caller.workers(&cloud).script_delete(account, &existing(&script)?, force).await?;
    domain::forget_hosts(&cloud, account, &before).await?;
    Ok(ok(&Value::Null))
}
