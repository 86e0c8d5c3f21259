//! The address of a tail: a WebSocket over which its events go out, one JSON text each.

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use http::StatusCode;
use slipway_workers::runtime::tail::Seen;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::super::envelope::Failure;
use super::Tail;
use crate::cloud::Shared;

/// How often it is asked whether the tail may go on.
pub const LOOK: Duration = Duration::from_millis(500);
/// How often a silent reader is asked whether it is there, and how long it may be silent.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);
/// Time for a reader to take one message.
const SEND: Duration = Duration::from_secs(10);
/// What a reader says is of no interest, and short.
const FRAME_BYTES: usize = 4_096;
/// What the clients call the protocol.
const PROTOCOL: &str = "trace-v1";

pub async fn open(
    State(cloud): State<Shared>,
    Path(secret): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let gone = || Failure::new(StatusCode::NOT_FOUND, 10_026, "there is no such tail; it may have ended");
    let tail = cloud.tails.find(&secret, cloud.env.now()).ok_or_else(gone)?;
    if !stands(&cloud, &secret, &tail).await {
        return Err(gone());
    }
    let upgrade = upgrade.map_err(|e| Failure::body(format!("a tail is read over WebSocket: {}", e.body_text())))?;
    let busy = || Failure::new(StatusCode::CONFLICT, 10_021, "somebody reads this tail already; make one of your own");
    let seat = tail.seat.clone().try_acquire_owned().map_err(|_| busy())?;
    let seen = cloud.workers.tail(&tail.account, &tail.script).await?;
    // wrangler sends its first frame without the mask that RFC 6455 (section 5.1) asks for
    let upgrade = upgrade.protocols([PROTOCOL]).accept_unmasked_frames(true).max_message_size(FRAME_BYTES).max_frame_size(FRAME_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        show(&cloud, &secret, &tail, socket, seen).await;
        drop(seat);
    }))
}

/// Sends what is seen, until one side has enough or the tail ends.
async fn show(cloud: &Shared, secret: &str, tail: &Tail, mut socket: WebSocket, mut seen: Receiver<Seen>) {
    let (mut look, mut ping, mut heard) = (interval(LOOK), interval(PING), Instant::now());
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            event = seen.recv() => match event {
                Ok(event) if tail.filters.pass(&cloud.env, &event) => Message::Text(event.to_string().into()),
                // a reader that is too slow misses some
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => break,
            },
            said = socket.next() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {
                    heard = Instant::now();
                    continue;
                }
            },
            _ = look.tick() => match stands(cloud, secret, tail).await {
                true if heard.elapsed() < SILENCE => continue,
                _ => break,
            },
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
        };
        if !matches!(timeout(SEND, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    drop(timeout(SEND, socket.send(Message::Close(None))).await);
}

/// Whether the tail is still there, and its token still works.
async fn stands(cloud: &Shared, secret: &str, tail: &Tail) -> bool {
    let standing = tail.standing.clone();
    cloud.tails.find(secret, cloud.env.now()).is_some() && cloud.db.read(move |tx| standing(tx)).await.is_ok()
}
