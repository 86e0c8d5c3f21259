//! `queues/{id}/consumers`: the Worker that messages are delivered to, or that they are pulled over HTTP.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::StoreError;
use slipway_stores::error::Thing;
use slipway_stores::queue::consumer::{Consumer, Settings};

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, Page, ok, page};
use super::super::render;
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default, alias = "script", alias = "service")]
    script_name: Option<String>,
    #[serde(default)]
    dead_letter_queue: Option<String>,
    #[serde(default)]
    settings: WantedSettings,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WantedSettings {
    batch_size: Option<i64>,
    max_retries: Option<i64>,
    max_wait_time_ms: Option<i64>,
    max_concurrency: Option<i64>,
    retry_delay: Option<i64>,
    visibility_timeout_ms: Option<i64>,
}

impl WantedSettings {
    fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            batch_size: self.batch_size.unwrap_or(usual.batch_size),
            max_retries: self.max_retries.unwrap_or(usual.max_retries),
            max_wait_ms: self.max_wait_time_ms.unwrap_or(usual.max_wait_ms),
            max_concurrency: self.max_concurrency,
            retry_delay_s: self.retry_delay.unwrap_or(usual.retry_delay_s),
            visibility_ms: self.visibility_timeout_ms.unwrap_or(usual.visibility_ms),
        }
    }
}

type Names = Path<(String, String)>;

pub async fn list(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = cloud.stores.queue_get(account, &id).await?.name;
    let all: Vec<Value> = cloud.stores.queue_consumer(account, &id).await?.iter().map(|one| shown(one, &name)).collect();
    Ok(page(&all, Page::of(None)))
}

pub async fn create(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(body): Json<Wanted>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let script = match (body.kind.as_deref(), body.script_name) {
        (Some("http_pull"), _) => None,
        (None | Some("worker"), Some(script)) => Some(super::super::named(&script)?.to_string()),
        _ => return Err(Failure::body("a consumer is of type `worker`, with a `script_name`, or `http_pull`")),
    };
    let settings = body.settings.settings();
    let made = caller.stores(&cloud).queue_consume(account, &id, script, body.dead_letter_queue, settings).await?;
    let name = cloud.stores.queue_get(account, &id).await?.name;
    Ok(ok(&shown(&made, &name)))
}

pub async fn get(State(cloud): State<Shared>, Path((account, id, consumer)): Path<(String, String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = cloud.stores.queue_get(account, &id).await?.name;
    let found = cloud.stores.queue_consumer(account, &id).await?.filter(|one| one.id == consumer);
    Ok(ok(&shown(&found.ok_or(StoreError::NotFound(Thing::Consumer))?, &name)))
}

pub async fn change(
    State(cloud): State<Shared>,
    Path((account, id, consumer)): Path<(String, String, String)>,
    caller: Caller,
    Json(body): Json<Wanted>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let settings = body.settings.settings();
    let changed = caller.stores(&cloud).queue_consumer_change(account, &id, &consumer, body.dead_letter_queue, settings).await?;
    let name = cloud.stores.queue_get(account, &id).await?.name;
    Ok(ok(&shown(&changed, &name)))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, id, consumer)): Path<(String, String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    caller.stores(&cloud).queue_consumer_remove(account, &id, &consumer).await?;
    Ok(ok(&Value::Null))
}

pub fn shown(consumer: &Consumer, queue: &str) -> Value {
    let set = consumer.settings;
    let mut settings = json!({"batch_size": set.batch_size, "max_retries": set.max_retries, "retry_delay": set.retry_delay_s});
    match &consumer.script {
        Some(_) => {
            settings["max_wait_time_ms"] = json!(set.max_wait_ms);
            settings["max_concurrency"] = json!(set.max_concurrency);
        }
        None => settings["visibility_timeout_ms"] = json!(set.visibility_ms),
    }
    let mut value = json!({
        "consumer_id": consumer.id,
        "queue_name": queue,
        "type": if consumer.script.is_some() { "worker" } else { "http_pull" },
        "created_on": render::time(consumer.created_at),
        "settings": settings,
    });
    if let Some(script) = &consumer.script {
        value["script"] = json!(script);
        value["script_name"] = json!(script);
        value["environment"] = json!("production");
    }
    if let Some(dead) = &consumer.dead_letter {
        value["dead_letter_queue"] = json!(dead);
    }
    value
}
