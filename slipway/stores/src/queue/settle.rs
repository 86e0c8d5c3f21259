//! What became of messages under a lease: taken off, put back, or tried often enough.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::consumer::{Settings, of_queue};
use super::manage::{find, find_named};
use super::send::{grow, insert};
use crate::error::StoreError;
use crate::limits;
use crate::stores::Stores;

/// What is to become of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// Again, after so many seconds; the consumer's own delay when it says nothing.
    Again(Option<i64>),
    /// Again, as if it had not been tried: nobody saw it.
    Unseen(i64),
}

/// How many were settled. A lease that has run out settles nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub done: u64,
    pub again: u64,
    pub dead: u64,
}

impl Stores {
    /// Settles messages, each under its own lease.
    ///
    /// # Errors
    /// When the account has no such queue.
    pub async fn queue_settle(
        &self,
        account: &CloudAccountId,
        queue: &str,
        fates: Vec<(String, String, Fate)>,
    ) -> Result<Settled, StoreError> {
        let (account, queue, now) = (account.clone(), queue.to_owned(), self.inner().env.now());
        let settled = self.change(move |tx| {
            find(tx, &account, &queue)?;
            let consumer = of_queue(tx, &queue)?;
            let (settings, dead_letter) = consumer.map_or((Settings::default(), None), |one| (one.settings, one.dead_letter));
            let mut settled = Settled::default();
            for (lease, id, fate) in &fates {
                settle(tx, &account, &queue, (lease, id, fate), settings, dead_letter.as_deref(), now, &mut settled)?;
            }
            Ok(settled)
        });
        let settled = settled.await?;
        self.inner().queued.notify_one();
        Ok(settled)
    }
}

fn settle(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    queue: &str,
    (lease, id, fate): (&str, &str, &Fate),
    settings: Settings,
    dead_letter: Option<&str>,
    now: Timestamp,
    settled: &mut Settled,
) -> Result<(), StoreError> {
    let select = "select attempts, bytes from queue_message where id = $1 and queue = $2 and lease = $3";
    let Some(row) = tx.query_opt(select, params![id, queue, lease])? else { return Ok(()) };
    let (attempts, bytes): (i64, i64) = (row.get("attempts")?, row.get("bytes")?);
    let back = "update queue_message set lease = null, visible_at = $2, attempts = $3 where id = $1";
    match fate {
        Fate::Unseen(delay) => {
            tx.execute(back, params![id, now.plus_secs(*delay), attempts - 1])?;
            return Ok(());
        }
        Fate::Again(delay) if attempts <= settings.max_retries => {
            let delay = delay.unwrap_or(settings.retry_delay_s).clamp(0, limits::QUEUE_DELAY_S);
            tx.execute(back, params![id, now.plus_secs(delay), attempts])?;
            settled.again += 1;
            return Ok(());
        }
        Fate::Done => settled.done += 1,
        Fate::Again(_) => settled.dead += 1,
    }
    match fate {
        Fate::Again(_) => bury(tx, account, queue, id, dead_letter, now),
        _ => {
            tx.execute("delete from queue_message where id = $1", params![id])?;
            grow(tx, queue, -1, -bytes)
        }
    }
}

/// Takes a message off that was tried often enough, and puts it on the queue of the dead when there is one, for as long as it has yet: queues
/// that are each other's end with their messages.
pub(super) fn bury(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    queue: &str,
    id: &str,
    dead_letter: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = tx.query_one("select bytes, content, body, sent_at, expires_at from queue_message where id = $1", params![id])?;
    let bytes: i64 = row.get("bytes")?;
    tx.execute("delete from queue_message where id = $1", params![id])?;
    grow(tx, queue, -1, -bytes)?;
    let Some(name) = dead_letter else { return Ok(()) };
    match find_named(tx, account, name) {
        Ok(dead) => {
            let (content, body, sent_at): (String, Vec<u8>, Timestamp) = (row.get("content")?, row.get("body")?, row.get("sent_at")?);
            insert(tx, &dead, id, &content, &body, sent_at, now, Some(row.get("expires_at")?))?;
            grow(tx, &dead.id, 1, bytes)
        }
        Err(StoreError::NotFound(_)) => {
            tracing::warn!(queue, dead_letter = name, "a message was dropped: its dead-letter queue is gone");
            Ok(())
        }
        Err(e) => Err(e),
    }
}
