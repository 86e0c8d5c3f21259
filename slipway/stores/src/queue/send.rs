//! Putting messages on a queue: all of a call or none.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::Content;
use super::manage::{Queue, find, find_named};
use super::metrics::Metrics;
use crate::error::StoreError;
use crate::stores::Stores;
use crate::{limits, room};

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub content: Content,
    pub body: Vec<u8>,
    /// Seconds; the queue's own when it says nothing.
    pub delay_s: Option<i64>,
}

/// Which queue is meant.
#[derive(Clone, Debug)]
pub enum To {
    Id(String),
    Name(String),
}

impl Stores {
    /// Puts messages on a queue, durably; what is on it then.
    ///
    /// # Errors
    /// When the account has no such queue, there are too many or too large ones, or no room.
    pub async fn queue_send(&self, account: &CloudAccountId, to: To, messages: Vec<Message>) -> Result<Metrics, StoreError> {
        check(&messages)?;
        let (account, now, env) = (account.clone(), self.inner().env.now(), self.inner().env.clone());
        let room = self.inner().room.clone();
        let sent = self.change(move |tx| {
            let queue = match &to {
                To::Id(id) => find(tx, &account, id)?,
                To::Name(name) => find_named(tx, &account, name)?,
            };
            let bytes = messages.iter().map(weight).sum();
            room::claim(tx, &room, &account, bytes)?;
            for message in &messages {
                let id = hex::encode(env.bytes::<16>());
                let delay = message.delay_s.unwrap_or(queue.settings.delay_s);
                insert(tx, &queue, &id, message.content.as_str(), &message.body, now, now.plus_secs(delay), None)?;
            }
            grow(tx, &queue.id, i64::try_from(messages.len()).map_err(StoreError::internal)?, bytes)?;
            super::metrics::of(tx, &queue.id)
        });
        let metrics = sent.await?;
        self.inner().queued.notify_one();
        Ok(metrics)
    }
}

/// Writes a message; the queue's counts are the caller's. One that has a time to end at already keeps it.
#[allow(clippy::too_many_arguments, reason = "what one row takes")]
pub(super) fn insert(
    tx: &mut Tx<'_>,
    queue: &Queue,
    id: &str,
    content: &str,
    body: &[u8],
    sent_at: Timestamp,
    visible_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let insert = "insert into queue_message (id, queue, content, body, bytes, sent_at, visible_at, expires_at, attempts)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 0)";
    let bytes = i64::try_from(body.len()).map_err(StoreError::internal)?.max(limits::QUEUE_MESSAGE_LEAST_BYTES);
    let expires_at = expires_at.unwrap_or_else(|| visible_at.plus_secs(queue.settings.retention_s));
    tx.execute(insert, params![id, queue.id, content, body, bytes, sent_at, visible_at, expires_at])?;
    Ok(())
}

pub(super) fn grow(tx: &mut Tx<'_>, queue: &str, messages: i64, bytes: i64) -> Result<(), StoreError> {
    tx.execute("update queue set messages = messages + $2, bytes = bytes + $3 where id = $1", params![queue, messages, bytes])?;
    Ok(())
}

fn check(messages: &[Message]) -> Result<(), StoreError> {
    if messages.is_empty() || messages.len() > limits::QUEUE_SEND {
        return Err(StoreError::Invalid(format!("one call sends 1 to {} messages", limits::QUEUE_SEND)));
    }
    let too_large = |what: &str, most: usize| StoreError::TooLarge(format!("{what} is larger than {most} bytes"));
    if messages.iter().any(|message| message.body.len() > limits::QUEUE_MESSAGE_BYTES) {
        return Err(too_large("a message", limits::QUEUE_MESSAGE_BYTES));
    }
    if messages.iter().map(|message| message.body.len()).sum::<usize>() > limits::QUEUE_SEND_BYTES {
        return Err(too_large("the batch", limits::QUEUE_SEND_BYTES));
    }
    if messages.iter().filter_map(|message| message.delay_s).any(|delay| !(0..=limits::QUEUE_DELAY_S).contains(&delay)) {
        return Err(StoreError::Invalid(format!("a delay is 0 to {} seconds", limits::QUEUE_DELAY_S)));
    }
    Ok(())
}

fn weight(message: &Message) -> i64 {
    i64::try_from(message.body.len()).unwrap_or(i64::MAX).max(limits::QUEUE_MESSAGE_LEAST_BYTES)
}
