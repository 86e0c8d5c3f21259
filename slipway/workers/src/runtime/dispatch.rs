//! Handing an event to a Worker: over a Worker of ours in the same process, since events are calls and not requests.
//!
//! The first event makes the tenant's process one that takes events (another generation). That needs a switch of workerd under which
//! experimental compatibility flags work too; a tenant's code was validated without it, so no tenant has such flags.

use std::io;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits;
use crate::name::ScriptName;
use crate::runtime::Runtime;
use crate::runtime::event::{Content, Event, Handled};
use crate::runtime::process::StartError;

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("the Worker is not live")]
    NotLive,
    /// Its account has used up what it has.
    #[error("the account has used all that is included and set aside for its use")]
    UsedUp,
    #[error(transparent)]
    Start(#[from] StartError),
    /// The process broke off, or took longer than it has.
    #[error("the Worker did not finish: {0}")]
    Broken(String),
}

impl DispatchError {
    fn broken(cause: impl std::fmt::Display) -> Self {
        Self::Broken(cause.to_string())
    }
}

impl From<io::Error> for DispatchError {
    fn from(e: io::Error) -> Self {
        Self::broken(e)
    }
}

impl Runtime {
    /// Hands one event in and waits for what becomes of it. The process is started when it sleeps.
    ///
    /// # Errors
    /// When the Worker is not live, its account has used up what it has, or its process ends meanwhile; whether code saw the event is unknown
    /// then.
    pub async fn dispatch(&self, account: &CloudAccountId, script: &ScriptName, event: &Event) -> Result<Handled, DispatchError> {
        let tenant = self.home(account, script).ok_or(DispatchError::NotLive)?;
        let place = self.known(&tenant).await.ok_or(DispatchError::NotLive)?;
        let mut running = place.running.lock().await;
        if running.stopped || !running.live.iter().any(|live| live.script == *script && live.unit.is_some()) {
            return Err(DispatchError::NotLive);
        }
        // Before anything is started for it. INVARIANT (nothing-runs-free): no event is handed in but under such a place.
        let counted = self.host.events.begin(account, script).ok_or(DispatchError::UsedUp)?;
        if !running.events {
            running.events = true;
            let live = running.live.clone();
            if let Err(e) = self.switch(&mut running, live).await {
                running.events = false;
                return Err(e.into());
            }
        }
        let active = running.active.as_ref().ok_or(DispatchError::NotLive)?;
        let unit = active.scripts.iter().rposition(|s| s == script).ok_or(DispatchError::NotLive)?;
        let (socket, _, hold) = active.events.as_ref().ok_or(DispatchError::NotLive)?.open().map_err(DispatchError::Broken)?;
        drop(running);
        let answered = tokio::time::timeout(limits::EVENT, exchange(&socket, unit, event)).await;
        drop((hold, counted));
        answered.map_err(|_| DispatchError::Broken(format!("it had {} seconds", limits::EVENT.as_secs())))?
    }
}

async fn exchange(socket: &std::path::Path, unit: usize, event: &Event) -> Result<Handled, DispatchError> {
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(DispatchError::broken)?;
    let driving = tokio::spawn(connection);
    let body = Full::new(Bytes::from(told(event).to_string()));
    let request = Request::post(format!("/w{unit}")).header("host", "events").body(body).map_err(DispatchError::broken)?;
    let response = sender.send_request(request).await.map_err(DispatchError::broken)?;
    let status = response.status();
    let text = Limited::new(response.into_body(), limits::EVENT_ANSWER_BYTES).collect().await.map_err(DispatchError::broken)?.to_bytes();
    driving.abort();
    if status != StatusCode::OK {
        return Err(DispatchError::Broken(format!("status {status}")));
    }
    let said: Said = serde_json::from_slice(&text).map_err(DispatchError::broken)?;
    Ok(said.into())
}

fn told(event: &Event) -> Value {
    let millis = |at: &Timestamp| at.micros_since(Timestamp::EPOCH) / 1_000;
    match event {
        Event::Scheduled { cron, at } => json!({ "cron": cron, "at": millis(at) }),
        Event::Queue { queue, messages, backlog } => {
            let message = |m: &crate::runtime::event::QueueMessage| {
                let content = match m.content {
                    Content::Text => "text",
                    Content::Json => "json",
                    Content::Bytes => "bytes",
                    Content::V8 => "v8",
                };
                json!({ "id": m.id, "at": millis(&m.at), "attempts": m.attempts, "content": content, "body": hex::encode(&m.body) })
            };
            json!({
                "queue": queue,
                "messages": messages.iter().map(message).collect::<Vec<_>>(),
                "count": backlog.count,
                "bytes": backlog.bytes,
                "oldest": backlog.oldest.as_ref().map(millis),
            })
        }
    }
}

/// As workerd says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    outcome: Value,
    #[serde(default)]
    no_retry: bool,
    #[serde(default)]
    ack_all: bool,
    #[serde(default)]
    retry_batch: Option<Again>,
    #[serde(default)]
    explicit_acks: Vec<String>,
    #[serde(default)]
    retry_messages: Vec<OneAgain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Again {
    #[serde(default)]
    retry: bool,
    delay_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneAgain {
    msg_id: String,
    delay_seconds: Option<u32>,
}

impl From<Said> for Handled {
    fn from(said: Said) -> Self {
        Self {
            outcome: said.outcome.as_str().map_or_else(|| said.outcome.to_string(), str::to_owned),
            no_retry: said.no_retry,
            ack_all: said.ack_all,
            retry_batch: said.retry_batch.filter(|again| again.retry).map(|again| again.delay_seconds),
            acked: said.explicit_acks,
            retried: said.retry_messages.into_iter().map(|one| (one.msg_id, one.delay_seconds)).collect(),
        }
    }
}
