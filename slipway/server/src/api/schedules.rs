//! `workers/scripts/{name}/schedules`: cron triggers.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_workers::view::Schedule;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, ok};
use super::{existing, render};
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct Wanted {
    cron: String,
}

pub async fn list(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    Ok(ok(&shown(&cloud.workers.schedule_list(account, &existing(&script)?).await?)))
}

pub async fn put(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(wanted): Json<Vec<Wanted>>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let crons: Vec<String> = wanted.into_iter().map(|wanted| wanted.cron).collect();
    Ok(ok(&shown(&caller.workers(&cloud).schedule_put(account, &existing(&script)?, &crons).await?)))
}

fn shown(schedules: &[Schedule]) -> Value {
    let one =
        |s: &Schedule| json!({ "cron": s.cron, "created_on": render::time(s.created_at), "modified_on": render::time(s.modified_at) });
    json!({ "schedules": schedules.iter().map(one).collect::<Vec<_>>() })
}
