//! `storage/kv/namespaces`: key-value namespaces of the account.

pub mod bulk;
pub mod keys;
pub mod values;

use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::kv::namespace::Namespace;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Page, ok, page};
use super::query;
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct Titled {
    title: String,
}

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let mut all = cloud.stores.kv_namespace_list(account).await?;
    if query(text.as_deref(), "order").is_some_and(|order| order == "id") {
        all.sort_by(|a, b| a.id.cmp(&b.id));
    }
    if query(text.as_deref(), "direction").is_some_and(|direction| direction == "desc") {
        all.reverse();
    }
    let shown: Vec<Value> = all.iter().map(namespace).collect();
    Ok(page(&shown, Page::of(text.as_deref())))
}

pub async fn create(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<Titled>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    Ok(ok(&namespace(&caller.stores(&cloud).kv_namespace_create(account, body.title).await?)))
}

pub async fn get(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    Ok(ok(&namespace(&cloud.stores.kv_namespace_get(account, &id).await?)))
}

pub async fn rename(
    State(cloud): State<Shared>,
    Path((account, id)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Titled>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    Ok(ok(&namespace(&caller.stores(&cloud).kv_namespace_rename(account, &id, body.title).await?)))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    caller.stores(&cloud).kv_namespace_delete(account, &id).await?;
    Ok(ok(&json!({})))
}

fn namespace(namespace: &Namespace) -> Value {
    json!({"id": namespace.id, "title": namespace.title, "supports_url_encoding": true})
}
