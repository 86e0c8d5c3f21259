//! `…/bulk`: many entries at a time.

use axum::extract::{Path, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use purser_values::limits::{JSON_BODY_BYTES, UPLOAD_BODY_BYTES};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::kv::KeyName;
use slipway_stores::kv::binding::metadata_value;
use slipway_stores::kv::bulk::Pair;
use slipway_stores::kv::put::Options;

use super::super::body::{Json, parse};
use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, ok};
use super::super::stored::{admit, whole};
use crate::cloud::Shared;

type Names = Path<(String, String)>;

#[derive(Deserialize)]
struct NewPair {
    key: String,
    value: String,
    #[serde(default)]
    base64: bool,
    #[serde(default)]
    expiration: Option<i64>,
    #[serde(default)]
    expiration_ttl: Option<i64>,
    #[serde(default)]
    metadata: Option<Value>,
}

/// Values go in as they are, so the body waits for a place before it is read.
pub async fn put(State(cloud): State<Shared>, Path((account, namespace)): Names, caller: Caller, request: Request) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let (body, _memory) = whole(&cloud, account, request, UPLOAD_BODY_BYTES).await?;
    let asked: Vec<NewPair> = parse(&body)?;
    let now = cloud.env.now();
    let mut pairs = Vec::with_capacity(asked.len());
    for pair in asked {
        let seconds = |at: Option<i64>| at.map(|at| at.to_string());
        let metadata = pair.metadata.filter(|metadata| !metadata.is_null()).map(|metadata| metadata.to_string());
        let options = Options::checked(now, seconds(pair.expiration_ttl).as_deref(), seconds(pair.expiration).as_deref(), metadata)?;
        let value =
            if pair.base64 { STANDARD.decode(pair.value.as_bytes()).map_err(|_| not_base64(&pair.key))? } else { pair.value.into() };
        pairs.push(Pair { name: KeyName::try_from(pair.key)?, options, value: Bytes::from(value) });
    }
    let count = caller.stores(&cloud).kv_bulk_put(account, &namespace, pairs).await?;
    Ok(ok(&json!({"successful_key_count": count, "unsuccessful_keys": []})))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Gone {
    Name(String),
    Named { name: String },
}

pub async fn delete(State(cloud): State<Shared>, Path((account, namespace)): Names, caller: Caller, request: Request) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let (body, _memory) = whole(&cloud, account, request, UPLOAD_BODY_BYTES).await?;
    let asked: Vec<Gone> = parse(&body)?;
    let names = asked.into_iter().map(|gone| match gone {
        Gone::Name(name) | Gone::Named { name } => KeyName::try_from(name),
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let (stores, count) = (caller.stores(&cloud), names.len());
    for some in names.chunks(BATCH) {
        stores.kv_delete(account, &namespace, some.to_vec()).await?;
    }
    Ok(ok(&json!({"successful_key_count": count, "unsuccessful_keys": []})))
}

/// Keys that one write removes.
const BATCH: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    keys: Vec<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    with_metadata: bool,
}

pub async fn get(State(cloud): State<Shared>, Path((account, namespace)): Names, caller: Caller, Json(asked): Json<Wanted>) -> Answer {
    const { assert!(JSON_BODY_BYTES > slipway_stores::limits::KV_BULK_GET * slipway_stores::limits::KV_KEY_BYTES) };
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let _place = admit(&cloud, account).await?;
    let names = asked.keys.into_iter().map(KeyName::try_from).collect::<Result<_, _>>()?;
    let mut values = Map::new();
    for (name, found) in cloud.stores.kv_bulk_get(account, &namespace, names).await? {
        let value = match found {
            None => Value::Null,
            Some(found) => {
                let value = match asked.kind.as_deref() {
                    Some("json") => {
                        serde_json::from_str(&found.value).map_err(|_| Failure::body("a value that was asked for is not JSON"))?
                    }
                    _ => json!(found.value),
                };
                if asked.with_metadata { json!({"value": value, "metadata": metadata_value(found.metadata.as_deref())}) } else { value }
            }
        };
        values.insert(name.as_str().to_owned(), value);
    }
    Ok(ok(&json!({"values": values})))
}

fn not_base64(key: &str) -> Failure {
    Failure::body(format!("the value of `{}` is not base64", purser_wire::text::excerpt(key, 80)))
}
