//! `…/keys`: the names of a namespace, by cursor.

use axum::extract::{Path, RawQuery, State};
use serde_json::{Map, Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::kv::binding::metadata_value;
use slipway_stores::kv::list::{Listed, Query};

use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, by_cursor};
use super::super::query;
use crate::cloud::Shared;

pub async fn list(
    State(cloud): State<Shared>,
    Path((account, namespace)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let find = |name| query(text.as_deref(), name).map(std::borrow::Cow::into_owned);
    let limit = find("limit").map(|limit| limit.parse().map_err(|_| Failure::body("the limit is not a number"))).transpose()?;
    let asked = Query { prefix: find("prefix").unwrap_or_default(), cursor: find("cursor"), limit };
    let page = cloud.stores.kv_list(account, &namespace, asked).await?;
    let shown: Vec<Value> = page.keys.iter().map(listed).collect();
    Ok(by_cursor(&shown, page.cursor.as_deref()))
}

fn listed(key: &Listed) -> Value {
    let mut shown = Map::from_iter([("name".to_owned(), json!(key.name))]);
    shown.extend(key.expires_at.map(|at| ("expiration".to_owned(), json!(at.as_secs()))));
    shown.extend(key.metadata.as_ref().map(|metadata| ("metadata".to_owned(), metadata_value(Some(metadata)))));
    Value::Object(shown)
}
