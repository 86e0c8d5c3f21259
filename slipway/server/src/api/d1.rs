//! `d1/database`: databases of the account. `query` answers rows as objects, `raw` as lists.

pub mod files;
pub mod travel;

use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::d1::database::Database;
use slipway_stores::d1::query::{Form, Query};
use slipway_stores::d1::run::Bounds;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Page, ok, page};
use super::{query, render};
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct New {
    name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Asked {
    Batch { batch: Vec<Query> },
    One(Query),
    Several(Vec<Query>),
}

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let mut all = cloud.stores.d1_list(account).await?;
    if let Some(name) = query(text.as_deref(), "name") {
        all.retain(|database| database.name.contains(name.as_ref()));
    }
    let shown: Vec<Value> = all.iter().map(database).collect();
    Ok(page(&shown, Page::of(text.as_deref())))
}

pub async fn create(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<New>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    Ok(ok(&database(&caller.stores(&cloud).d1_create(account, body.name).await?)))
}

pub async fn get(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    Ok(ok(&database(&cloud.stores.d1_get(account, &id).await?)))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    caller.stores(&cloud).d1_delete(account, &id).await?;
    Ok(ok(&Value::Null))
}

pub async fn ask(
    State(cloud): State<Shared>,
    Path((account, id)): Path<(String, String)>,
    caller: Caller,
    Json(asked): Json<Asked>,
) -> Answer {
    run(&cloud, &account, &id, &caller, asked, Form::Objects).await
}

pub async fn raw(
    State(cloud): State<Shared>,
    Path((account, id)): Path<(String, String)>,
    caller: Caller,
    Json(asked): Json<Asked>,
) -> Answer {
    run(&cloud, &account, &id, &caller, asked, Form::Columns).await
}

async fn run(cloud: &Shared, account: &str, id: &str, caller: &Caller, asked: Asked, form: Form) -> Answer {
    let account = caller.within(cloud, account, Permission::Workers).await?;
    let queries = match asked {
        Asked::Batch { batch } => batch,
        Asked::One(query) => vec![query],
        Asked::Several(queries) => queries,
    };
    let done = caller.stores(cloud).d1_run(account, id, queries, Bounds::QUERY).await?;
    let shown: Vec<Value> = done.answers.into_iter().map(|answer| answer.shown(form)).collect();
    Ok(ok(&json!(shown)))
}

fn database(database: &Database) -> Value {
    json!({
        "uuid": database.id,
        "name": database.name,
        // another word makes clients refuse what only newer databases can do
        "version": "production",
        "num_tables": database.tables,
        "file_size": database.bytes,
        "created_at": render::time(database.created_at),
        "running_in_region": "local",
        "read_replication": {"mode": "disabled"},
    })
}
