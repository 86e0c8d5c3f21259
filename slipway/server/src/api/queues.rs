//! `queues`: message queues of the account, their consumers, and messages over HTTP.

pub mod consumers;
pub mod messages;

use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::Stores;
use slipway_stores::queue::manage::{Change, Queue};
use slipway_workers::name::{ResourceId, ScriptName};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::render;
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    queue_name: Option<String>,
    #[serde(default)]
    settings: Settings,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    delivery_delay: Option<i64>,
    message_retention_period: Option<i64>,
    delivery_paused: Option<bool>,
}

impl Wanted {
    fn change(self) -> Change {
        let Settings { delivery_delay, message_retention_period, delivery_paused } = self.settings;
        Change { name: self.queue_name, delay_s: delivery_delay, retention_s: message_retention_period, paused: delivery_paused }
    }
}

/// All, or those of the names that the client lists; an unknown name is no error.
pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let text = text.unwrap_or_default();
    let names =
        url::form_urlencoded::parse(text.as_bytes()).filter(|(name, _)| name == "name").map(|(_, value)| value.into_owned()).collect();
    let (mut shown, producers) = (Vec::new(), cloud.workers.queue_producers(account).await?);
    for queue in cloud.stores.queue_list(account, names).await? {
        shown.push(queue_shown(&cloud.stores, &producers, &caller, queue).await?);
    }
    Ok(page(&shown, Page::of(Some(&text))))
}

pub async fn create(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<Wanted>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    if body.queue_name.is_none() {
        return Err(Failure::body("a queue needs a `queue_name`"));
    }
    let made = caller.stores(&cloud).queue_create(account, body.change()).await?;
    let producers = cloud.workers.queue_producers(account).await?;
    Ok(ok(&queue_shown(&cloud.stores, &producers, &caller, made).await?))
}

pub async fn get(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let queue = cloud.stores.queue_get(account, &id).await?;
    let producers = cloud.workers.queue_producers(account).await?;
    Ok(ok(&queue_shown(&cloud.stores, &producers, &caller, queue).await?))
}

pub async fn change(
    State(cloud): State<Shared>,
    Path((account, id)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Wanted>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let changed = caller.stores(&cloud).queue_change(account, &id, body.change()).await?;
    let producers = cloud.workers.queue_producers(account).await?;
    Ok(ok(&queue_shown(&cloud.stores, &producers, &caller, changed).await?))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    caller.stores(&cloud).queue_delete(account, &id).await?;
    Ok(ok(&Value::Null))
}

async fn queue_shown(stores: &Stores, producers: &[(ResourceId, ScriptName)], caller: &Caller, queue: Queue) -> Result<Value, Failure> {
    let own = producers.iter().filter(|(bound, _)| bound.as_str() == queue.name || bound.as_str() == queue.id);
    let producers: Vec<Value> = own.map(|(_, script)| json!({"type": "worker", "script": script})).collect();
    let consumer = stores.queue_consumer(&caller.account.id, &queue.id).await?;
    let consumers: Vec<Value> = consumer.iter().map(|consumer| consumers::shown(consumer, &queue.name)).collect();
    Ok(json!({
        "queue_id": queue.id,
        "queue_name": queue.name,
        "created_on": render::time(queue.created_at),
        "modified_on": render::time(queue.modified_at),
        "producers": producers,
        "producers_total_count": producers.len(),
        "consumers": consumers,
        "consumers_total_count": consumers.len(),
        "settings": {
            "delivery_delay": queue.settings.delay_s,
            "message_retention_period": queue.settings.retention_s,
            "delivery_paused": queue.settings.paused,
        },
    }))
}
