//! `workers/scripts/{name}/settings` and `…/script-settings`.

use axum::extract::{Path, State};
use slipway_accounts::token::Permission;
use slipway_workers::view::ScriptSettingsPatch;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, ok};
use super::{existing, render};
use crate::cloud::Shared;

pub async fn get(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let service = cloud.workers.script_get(account, &existing(&script)?).await?;
    Ok(ok(&render::settings(&service.script, service.version.as_ref())))
}

pub async fn script_get(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let service = cloud.workers.script_get(account, &existing(&script)?).await?;
    Ok(ok(&render::script_settings(&service.script.settings)))
}

pub async fn script_patch(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(patch): Json<ScriptSettingsPatch>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let changed = caller.workers(&cloud).script_settings_patch(account, &existing(&script)?, patch).await?;
    Ok(ok(&render::script_settings(&changed.settings)))
}
