//! `queues/{id}/messages` and `…/purge`: sending, pulling and settling over HTTP.

use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::limits;
use slipway_stores::queue::Content;
use slipway_stores::queue::send::{Message, To};
use slipway_stores::queue::settle::Fate;
use slipway_stores::queue::take::Taken;
use slipway_stores::r2::millis;

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, ok};
use super::super::render;
use super::super::stored::admit;
use crate::cloud::Shared;

type Names = Path<(String, String)>;

#[derive(Deserialize)]
pub struct NewMessage {
    body: Value,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    delay_seconds: Option<i64>,
}

#[derive(Deserialize)]
pub struct NewBatch {
    messages: Vec<NewMessage>,
    #[serde(default)]
    delay_seconds: Option<i64>,
}

pub async fn send(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(body): Json<NewMessage>) -> Answer {
    let batch = NewBatch { messages: vec![body], delay_seconds: None };
    sent(&cloud, &account, id, &caller, batch).await
}

pub async fn batch(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(body): Json<NewBatch>) -> Answer {
    sent(&cloud, &account, id, &caller, body).await
}

async fn sent(cloud: &Shared, account: &str, id: String, caller: &Caller, batch: NewBatch) -> Answer {
    let account = caller.within(cloud, account, Permission::Workers).await?;
    let _place = admit(cloud, account).await?;
    let messages = batch.messages.into_iter().map(|one| message(one, batch.delay_seconds)).collect::<Result<_, _>>()?;
    let metrics = caller.stores(cloud).queue_send(account, To::Id(id), messages).await?;
    let metrics = json!({"backlog_count": metrics.messages, "backlog_bytes": metrics.bytes});
    Ok(ok(&json!({"metadata": {"metrics": metrics}})))
}

fn message(one: NewMessage, delay: Option<i64>) -> Result<Message, Failure> {
    let text = || one.body.as_str().ok_or_else(|| Failure::body("the body of a message of this type is a string"));
    let (content, body) = match one.content_type.as_deref() {
        Some("text") => (Content::Text, text()?.as_bytes().to_vec()),
        Some("bytes") => (Content::Bytes, STANDARD.decode(text()?).map_err(|_| Failure::body("the body of a message is not base64"))?),
        None | Some("json") => (Content::Json, one.body.to_string().into_bytes()),
        Some(_) => return Err(Failure::body("a message is of type `json`, `text` or `bytes`")),
    };
    Ok(Message { content, body, delay_s: one.delay_seconds.or(delay) })
}

#[derive(Deserialize)]
pub struct Pull {
    #[serde(default)]
    batch_size: Option<i64>,
    #[serde(default)]
    visibility_timeout_ms: Option<i64>,
    #[serde(default)]
    visibility_timeout: Option<i64>,
}

pub async fn pull(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(asked): Json<Pull>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let hidden = asked.visibility_timeout_ms.or(asked.visibility_timeout);
    let taken = caller.stores(&cloud).queue_pull(account, &id, asked.batch_size, hidden).await?;
    let messages: Vec<Value> = taken.messages.iter().map(|one| shown(one, &taken.lease)).collect();
    Ok(ok(&json!({"message_backlog_count": taken.backlog, "messages": messages})))
}

/// Text as it is, everything else in base64: that is what pulling clients read.
fn shown(one: &Taken, lease: &str) -> Value {
    let body = match (one.content, std::str::from_utf8(&one.body)) {
        (Content::Text | Content::Json, Ok(text)) => text.to_owned(),
        _ => STANDARD.encode(&one.body),
    };
    json!({
        "id": one.id, "body": body, "attempts": one.attempts, "timestamp_ms": millis(one.sent_at), "lease_id": format!("{lease}.{}", one.id),
        "metadata": {"CF-Content-Type": one.content.as_str(), "CF-sourceMessageSource": "http"},
    })
}

#[derive(Deserialize)]
pub struct Settle {
    #[serde(default)]
    acks: Vec<Leased>,
    #[serde(default)]
    retries: Vec<Leased>,
}

#[derive(Deserialize)]
struct Leased {
    lease_id: String,
    #[serde(default)]
    delay_seconds: Option<i64>,
}

pub async fn ack(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(asked): Json<Settle>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let fate = |leased: Leased, fate: Fate| {
        let (lease, id) = leased.lease_id.split_once('.').ok_or_else(|| Failure::body("a `lease_id` is not one of ours"))?;
        Ok((lease.to_owned(), id.to_owned(), fate))
    };
    let delays = asked.retries.iter().filter_map(|leased| leased.delay_seconds);
    if delays.into_iter().any(|delay| !(0..=limits::QUEUE_DELAY_S).contains(&delay)) {
        return Err(Failure::body(format!("a `delay_seconds` is 0 to {}", limits::QUEUE_DELAY_S)));
    }
    let acks = asked.acks.into_iter().map(|leased| fate(leased, Fate::Done));
    let retries = asked.retries.into_iter().map(|leased| {
        let again = Fate::Again(leased.delay_seconds);
        fate(leased, again)
    });
    let fates = acks.chain(retries).collect::<Result<Vec<_>, Failure>>()?;
    if fates.len() > 1_000 {
        return Err(Failure::body("one call settles at most 1000 messages"));
    }
    let settled = caller.stores(&cloud).queue_settle(account, &id, fates).await?;
    Ok(ok(&json!({"ackCount": settled.done, "retryCount": settled.again, "warnings": {}})))
}

#[derive(Deserialize)]
pub struct Purge {
    #[serde(default)]
    delete_messages_permanently: bool,
}

pub async fn purge(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(asked): Json<Purge>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    if !asked.delete_messages_permanently {
        return Err(Failure::body("say `delete_messages_permanently` to have every message removed"));
    }
    caller.stores(&cloud).queue_purge(account, &id).await?;
    let now = render::time(cloud.env.now());
    Ok(ok(&json!({"completed": true, "started_on": now})))
}

/// A purge is over when it is answered.
pub async fn purged(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let queue = cloud.stores.queue_get(account, &id).await?;
    Ok(ok(&json!({"completed": true, "started_on": render::time(queue.modified_at)})))
}
