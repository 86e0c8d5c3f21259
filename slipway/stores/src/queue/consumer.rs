//! Who takes messages off a queue: one Worker, or whoever pulls over HTTP. A queue has one consumer.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::manage::{Queue, find};
use crate::error::{StoreError, Thing};
use crate::limits;
use crate::stores::Stores;

/// A consumer as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    pub id: String,
    /// The Worker; nobody in particular where messages are pulled.
    pub script: Option<String>,
    /// The name of the queue that takes what was tried often enough.
    pub dead_letter: Option<String>,
    pub settings: Settings,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub batch_size: i64,
    pub max_retries: i64,
    /// How long a batch that is not full waits, in milliseconds.
    pub max_wait_ms: i64,
    pub max_concurrency: Option<i64>,
    pub retry_delay_s: i64,
    /// How long a message that was pulled stays hidden, in milliseconds.
    pub visibility_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch_size: 10, max_retries: 3, max_wait_ms: 5_000, max_concurrency: None, retry_delay_s: 0, visibility_ms: 30_000 }
    }
}

impl Settings {
    fn check(&self) -> Result<(), StoreError> {
        for (name, value, most) in [
            ("max_retries", self.max_retries, 100),
            ("max_wait_time_ms", self.max_wait_ms, 60_000),
            ("retry_delay", self.retry_delay_s, limits::QUEUE_DELAY_S),
            ("visibility_timeout_ms", self.visibility_ms, limits::QUEUE_LEASE_MOST_MS),
        ] {
            if !(0..=most).contains(&value) {
                return Err(StoreError::Invalid(format!("`{name}` is 0 to {most}")));
            }
        }
        if !(1..=limits::QUEUE_BATCH).contains(&self.batch_size) {
            return Err(StoreError::Invalid(format!("`batch_size` is 1 to {}", limits::QUEUE_BATCH)));
        }
        if self.max_concurrency.is_some_and(|n| !(1..=250).contains(&n)) {
            return Err(StoreError::Invalid("`max_concurrency` is 1 to 250".to_owned()));
        }
        Ok(())
    }
}

impl Stores {
    /// # Errors
    /// When the account has no such queue, a setting is none, or somebody consumes it already.
    pub async fn queue_consume(
        &self,
        account: &CloudAccountId,
        queue: &str,
        script: Option<String>,
        dead_letter: Option<String>,
        settings: Settings,
    ) -> Result<Consumer, StoreError> {
        settings.check()?;
        let id = hex::encode(self.inner().env.bytes::<16>());
        let made = Consumer { id, script, dead_letter, settings, created_at: self.inner().env.now() };
        let (account, queue) = (account.clone(), queue.to_owned());
        let made = self.change(move |tx| {
            not_itself(&find(tx, &account, &queue)?, made.dead_letter.as_deref())?;
            let insert =
                "insert into queue_consumer (id, queue, script, dead_letter, batch_size, max_retries, max_wait_ms, max_concurrency,
                retry_delay_s, visibility_ms, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
            let s = made.settings;
            let values = params![
                made.id,
                queue,
                made.script,
                made.dead_letter,
                s.batch_size,
                s.max_retries,
                s.max_wait_ms,
                s.max_concurrency,
                s.retry_delay_s,
                s.visibility_ms,
                made.created_at
            ];
            tx.execute(insert, values)
                .map_err(|e| if matches!(e, DbError::Unique(_)) { StoreError::Taken(Thing::Consumer) } else { e.into() })?;
            Ok(made.clone())
        });
        let made = made.await?;
        self.inner().queued.notify_one();
        Ok(made)
    }

    /// # Errors
    /// When the account has no such queue or consumer, or a setting is none.
    pub async fn queue_consumer_change(
        &self,
        account: &CloudAccountId,
        queue: &str,
        id: &str,
        dead_letter: Option<String>,
        settings: Settings,
    ) -> Result<Consumer, StoreError> {
        settings.check()?;
        let (account, queue, id) = (account.clone(), queue.to_owned(), id.to_owned());
        self.change(move |tx| {
            not_itself(&find(tx, &account, &queue)?, dead_letter.as_deref())?;
            let update =
                "update queue_consumer set dead_letter = $3, batch_size = $4, max_retries = $5, max_wait_ms = $6, max_concurrency = $7,
                retry_delay_s = $8, visibility_ms = $9 where queue = $1 and id = $2 returning *";
            let s = settings;
            let values = params![
                queue,
                id,
                dead_letter,
                s.batch_size,
                s.max_retries,
                s.max_wait_ms,
                s.max_concurrency,
                s.retry_delay_s,
                s.visibility_ms
            ];
            Ok(consumer(&tx.query_opt(update, values)?.ok_or(StoreError::NotFound(Thing::Consumer))?)?)
        })
        .await
    }

    /// # Errors
    /// When the account has no such queue.
    pub async fn queue_consumer(&self, account: &CloudAccountId, queue: &str) -> Result<Option<Consumer>, StoreError> {
        let (account, queue) = (account.clone(), queue.to_owned());
        self.look(move |tx| {
            find(tx, &account, &queue)?;
            of_queue(tx, &queue)
        })
        .await
    }

    /// # Errors
    /// When the account has no such queue or consumer.
    pub async fn queue_consumer_remove(&self, account: &CloudAccountId, queue: &str, id: &str) -> Result<(), StoreError> {
        let (account, queue, id) = (account.clone(), queue.to_owned(), id.to_owned());
        self.change(move |tx| {
            find(tx, &account, &queue)?;
            if tx.execute("delete from queue_consumer where queue = $1 and id = $2", params![queue, id])? == 0 {
                return Err(StoreError::NotFound(Thing::Consumer));
            }
            Ok(())
        })
        .await
    }
}

/// Refuses a queue as its own dead-letter queue: what fails there would be delivered again at once, and never go.
fn not_itself(queue: &Queue, dead_letter: Option<&str>) -> Result<(), StoreError> {
    if dead_letter != Some(queue.name.as_str()) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("`{}` cannot be its own dead-letter queue; name another", queue.name)))
}

/// Who consumes a queue.
pub(super) fn of_queue(tx: &mut Tx<'_>, queue: &str) -> Result<Option<Consumer>, StoreError> {
    let row = tx.query_opt("select * from queue_consumer where queue = $1", params![queue])?;
    Ok(row.as_ref().map(consumer).transpose()?)
}

fn consumer(row: &Row) -> Result<Consumer, DbError> {
    Ok(Consumer {
        id: row.get("id")?,
        script: row.get("script")?,
        dead_letter: row.get("dead_letter")?,
        settings: Settings {
            batch_size: row.get("batch_size")?,
            max_retries: row.get("max_retries")?,
            max_wait_ms: row.get("max_wait_ms")?,
            max_concurrency: row.get("max_concurrency")?,
            retry_delay_s: row.get("retry_delay_s")?,
            visibility_ms: row.get("visibility_ms")?,
        },
        created_at: row.get("created_at")?,
    })
}
