//! `workers/scripts/{name}/secrets`: a changed secret is a new version, deployed at once. Values go in and never come out.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use purser_values::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_workers::Rollout;
use slipway_workers::name::{BindingName, ParseNameError};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::{existing, render};
use crate::cloud::Shared;
use crate::events;

/// The one kind of secret that there is here.
const KIND: &str = "secret_text";

#[derive(Deserialize)]
pub struct NewSecret {
    name: String,
    text: Secret<String>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

#[derive(Deserialize)]
pub struct Bulk {
    secrets: BTreeMap<String, Option<NewSecret>>,
}

pub async fn list(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let all = cloud.workers.secret_list(account, &existing(&script)?).await?;
    let all: Vec<Value> = all.iter().map(|secret| shown(&secret.name)).collect();
    Ok(ok(&json!(all)))
}

pub async fn put(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<NewSecret>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let (script, name) = (existing(&script)?, checked(&body)?);
    let secret = caller.workers(&cloud).secret_put(account, &script, &name, body.text, &caller.author()).await?;
    events::deployed(&cloud, account, &script);
    Ok(ok(&shown(&secret.name)))
}

pub async fn delete(
    State(cloud): State<Shared>,
    Path((account, script, secret)): Path<(String, String, String)>,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let script = existing(&script)?;
    caller.workers(&cloud).secret_delete(account, &script, &binding(&secret)?, &caller.author()).await?;
    events::deployed(&cloud, account, &script);
    Ok(ok(&Value::Null))
}

/// A merge patch: a value sets, `null` deletes, what is absent stays.
pub async fn bulk(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Bulk>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let script = existing(&script)?;
    let mut changes = BTreeMap::new();
    for (name, secret) in body.secrets {
        let text = match secret {
            Some(secret) => {
                checked(&secret)?;
                Some(secret.text)
            }
            None => None,
        };
        changes.insert(binding(&name)?, text);
    }
    caller.workers(&cloud).secret_bulk(account, &script, changes, &caller.author(), Rollout::Deploy).await?;
    events::deployed(&cloud, account, &script);
    Ok(ok(&json!({})))
}

/// The body of `PATCH workers/workers/{name}/versions/latest`, as far as it is about secrets.
#[derive(Deserialize)]
pub struct Latest {
    env: BTreeMap<String, Option<LatestSecret>>,
}

#[derive(Deserialize)]
pub struct LatestSecret {
    text: Secret<String>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

/// A new version with other secrets, not deployed.
pub async fn latest(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Latest>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let mut changes = BTreeMap::new();
    for (name, secret) in body.env {
        known_kind(secret.as_ref().and_then(|s| s.kind.as_deref()))?;
        changes.insert(binding(&name)?, secret.map(|s| s.text));
    }
    let version = caller.workers(&cloud).secret_bulk(account, &existing(&script)?, changes, &caller.author(), Rollout::Store).await?;
    Ok(ok(&render::version(&version)))
}

fn checked(secret: &NewSecret) -> Result<BindingName, Failure> {
    known_kind(secret.kind.as_deref())?;
    binding(&secret.name)
}

fn known_kind(kind: Option<&str>) -> Result<(), Failure> {
    match kind {
        Some(other) if other != KIND => Err(Failure::invalid(format!("only secrets of the type `{KIND}` exist here"))),
        _ => Ok(()),
    }
}

fn binding(name: &str) -> Result<BindingName, Failure> {
    name.parse().map_err(|e: ParseNameError| Failure::invalid(e.to_string()))
}

fn shown(name: &BindingName) -> Value {
    json!({"name": name, "type": KIND})
}
