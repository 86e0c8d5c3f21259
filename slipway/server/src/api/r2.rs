//! `r2/buckets`: object buckets of the account. The list is an object and not an array, as the contract has it.

pub mod objects;

use axum::extract::{Path, RawQuery, State};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::r2::bucket::Bucket;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::{query, render};
use crate::cloud::Shared;

/// Buckets of one page, when the client does not say.
const PER_PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct New {
    name: String,
    #[serde(default)]
    location_hint: Option<String>,
    #[serde(default)]
    storage_class: Option<String>,
}

pub async fn list(
    State(cloud): State<Shared>,
    Path(account): Path<String>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    let find = |name| query(text.as_deref(), name);
    let after = find("cursor").or_else(|| find("start_after"));
    let mut all = cloud.stores.r2_bucket_list(account).await?;
    if let Some(part) = find("name_contains") {
        all.retain(|bucket| bucket.name.contains(part.as_ref()));
    }
    let descending = find("direction").is_some_and(|direction| direction == "desc");
    if descending {
        all.reverse();
    }
    if let Some(after) = after.as_deref().filter(|after| !after.is_empty()) {
        all.retain(|bucket| if descending { bucket.name.as_str() < after } else { bucket.name.as_str() > after });
    }
    let per_page = find("per_page").and_then(|n| n.parse().ok()).unwrap_or(PER_PAGE).clamp(1, PER_PAGE);
    let shown: Vec<Value> = all.iter().take(per_page).map(bucket).collect();
    Ok(ok(&json!({"buckets": shown})))
}

pub async fn create(
    State(cloud): State<Shared>,
    Path(account): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Json(body): Json<New>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    let made = caller.stores(&cloud).r2_bucket_create(account, body.name, body.location_hint, body.storage_class).await?;
    Ok(ok(&bucket(&made)))
}

pub async fn get(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, headers: HeaderMap, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    Ok(ok(&bucket(&cloud.stores.r2_bucket_get(account, &name).await?)))
}

/// Sets the storage class that new objects get.
pub async fn class(
    State(cloud): State<Shared>,
    Path((account, name)): Path<(String, String)>,
    headers: HeaderMap,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    let class =
        objects::text(&headers, objects::STORAGE_CLASS).ok_or_else(|| Failure::body("the header `cf-r2-storage-class` is missing"))?;
    Ok(ok(&bucket(&caller.stores(&cloud).r2_bucket_class(account, &name, Some(class)).await?)))
}

pub async fn delete(
    State(cloud): State<Shared>,
    Path((account, name)): Path<(String, String)>,
    headers: HeaderMap,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    caller.stores(&cloud).r2_bucket_delete(account, &name).await?;
    Ok(ok(&json!({})))
}

/// Nobody is told that bytes stay in a place when we cannot promise it.
fn anywhere(headers: &HeaderMap) -> Result<(), Failure> {
    match objects::text(headers, "cf-r2-jurisdiction").as_deref() {
        None | Some("" | "default") => Ok(()),
        Some(_) => Err(Failure::invalid("buckets of a jurisdiction do not exist here; leave the jurisdiction out")),
    }
}

fn bucket(bucket: &Bucket) -> Value {
    json!({
        "name": bucket.name,
        "creation_date": render::time(bucket.created_at),
        "location": bucket.location.as_deref().unwrap_or("local"),
        "storage_class": bucket.storage_class,
        "jurisdiction": "default",
    })
}
