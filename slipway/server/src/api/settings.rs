//! `workers/scripts/{name}/settings` and `…/script-settings`.

use axum::extract::{Path, State};
use slipway_accounts::token::Permission;
use slipway_workers::Revision;
use slipway_workers::view::ScriptSettingsPatch;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, ok};
use super::upload::Form;
use super::{existing, render};
use crate::cloud::Shared;
use crate::events;

pub async fn get(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let service = cloud.workers.script_get(account, &existing(&script)?).await?;
    Ok(ok(&render::settings(&service.script, service.version.as_ref())))
}

/// What belongs to a version makes a new one, live at once. The form has one part, `settings`.
pub async fn patch(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller, form: Form) -> Answer {
    let mut parts = form.admit(&cloud, &caller.account.id).await?;
    let settings = parts.value("settings").await?;
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = existing(&script)?;
    let revision = Revision { settings, modules: None };
    let version = caller.workers(&cloud).script_revise(account, &name, revision, &caller.author()).await?;
    events::deployed(&cloud, account, &name);
    let service = cloud.workers.script_get(account, &name).await?;
    Ok(ok(&render::settings(&service.script, Some(&version))))
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
