//! Taking messages under a lease.

use purser_db::{Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};

use super::Content;
use super::consumer::{Consumer, of_queue};
use super::manage::find;
use super::settle::bury;
use crate::error::StoreError;
use crate::limits;
use crate::stores::Stores;

/// A message that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub id: String,
    pub sent_at: Timestamp,
    /// This delivery counts; the first is 1.
    pub attempts: i64,
    pub content: Content,
    pub body: Vec<u8>,
}

/// Messages under one lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub lease: String,
    pub messages: Vec<Taken>,
    /// What is left on the queue.
    pub backlog: i64,
}

impl Stores {
    /// Takes messages for whoever pulls them.
    ///
    /// # Errors
    /// When the account has no such queue, messages are not pulled from it, or the numbers are none.
    pub async fn queue_pull(
        &self,
        account: &CloudAccountId,
        queue: &str,
        most: Option<i64>,
        hidden_ms: Option<i64>,
    ) -> Result<Batch, StoreError> {
        let (account, queue, env) = (account.clone(), queue.to_owned(), self.inner().env.clone());
        self.change(move |tx| {
            find(tx, &account, &queue)?;
            let pulled = of_queue(tx, &queue)?.filter(|consumer| consumer.script.is_none());
            let consumer =
                pulled.ok_or_else(|| StoreError::Refused(11_010, "this queue has no consumer of type `http_pull`".to_owned()))?;
            let settings = consumer.settings;
            let (most, hidden) = (most.unwrap_or(settings.batch_size), hidden_ms.unwrap_or(settings.visibility_ms));
            if !(1..=limits::QUEUE_BATCH).contains(&most) || !(0..=limits::QUEUE_LEASE_MOST_MS).contains(&hidden) {
                return Err(StoreError::Invalid(format!("a pull takes 1 to {} messages", limits::QUEUE_BATCH)));
            }
            take(tx, &env, &account, &queue, &consumer, most, hidden)
        })
        .await
    }
}

/// Takes what is due, oldest first: as many messages, or as many bytes, as a batch has. What was tried as often as it may be, and settled by nobody, is not taken once more.
pub(super) fn take(
    tx: &mut Tx<'_>,
    env: &Env,
    account: &CloudAccountId,
    queue: &str,
    consumer: &Consumer,
    most: i64,
    hidden_ms: i64,
) -> Result<Batch, StoreError> {
    let (now, lease) = (env.now(), hex::encode(env.bytes::<12>()));
    let select = "select id, content, bytes, sent_at, attempts from queue_message where queue = $1 and visible_at <= $2 and expires_at > $2
        order by visible_at, id limit $3";
    let (mut messages, mut bytes) = (Vec::new(), 0_usize);
    for row in tx.query(select, params![queue, now, most])? {
        if row.get::<i64>("attempts")? > consumer.settings.max_retries {
            bury(tx, account, queue, &row.get::<String>("id")?, consumer.dead_letter.as_deref(), now)?;
            continue;
        }
        bytes = bytes.saturating_add(usize::try_from(row.get::<i64>("bytes")?).unwrap_or(usize::MAX));
        if bytes > limits::QUEUE_BATCH_BYTES && !messages.is_empty() {
            break;
        }
        let (id, until) = (row.get::<String>("id")?, now.plus_millis(hidden_ms));
        let update = "update queue_message set lease = $2, attempts = attempts + 1, visible_at = $3 where id = $1 returning body";
        let body = tx.query_one(update, params![id, lease, until])?.get("body")?;
        messages.push(Taken {
            id,
            sent_at: row.get("sent_at")?,
            attempts: row.get::<i64>("attempts")? + 1,
            content: row.parse("content")?,
            body,
        });
    }
    let all: i64 = tx.query_one("select messages from queue where id = $1", params![queue])?.get("messages")?;
    let backlog = all.saturating_sub(i64::try_from(messages.len()).unwrap_or(i64::MAX));
    Ok(Batch { lease, messages, backlog })
}
