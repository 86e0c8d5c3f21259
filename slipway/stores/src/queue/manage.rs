//! Queues: made, listed, changed, deleted. Names are an account's own.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::error::{StoreError, Thing};
use crate::limits;
use crate::stores::Stores;

/// A queue as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// 32 hexadecimal digits.
    pub id: String,
    pub name: String,
    pub settings: Settings,
    pub messages: i64,
    pub bytes: i64,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

/// Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What each message waits whose sender says nothing.
    pub delay_s: i64,
    pub retention_s: i64,
    pub paused: bool,
}

/// What is to be changed; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub delay_s: Option<i64>,
    pub retention_s: Option<i64>,
    pub paused: Option<bool>,
}

impl Change {
    fn apply(&self, mut queue: Queue) -> Result<Queue, StoreError> {
        if let Some(name) = &self.name {
            queue.name.clone_from(name);
        }
        let settings = &mut queue.settings;
        settings.delay_s = self.delay_s.unwrap_or(settings.delay_s);
        settings.retention_s = self.retention_s.unwrap_or(settings.retention_s);
        settings.paused = self.paused.unwrap_or(settings.paused);
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=limits::QUEUE_NAME_BYTES).contains(&queue.name.len()) || !queue.name.bytes().all(fits) {
            return Err(StoreError::Refused(
                11_003,
                format!("a queue needs a name of 1 to {} letters, digits and hyphens", limits::QUEUE_NAME_BYTES),
            ));
        }
        if !(0..=limits::QUEUE_DELAY_S).contains(&settings.delay_s) {
            return Err(StoreError::Invalid(format!("a delay is 0 to {} seconds", limits::QUEUE_DELAY_S)));
        }
        if !(60..=limits::QUEUE_RETENTION_MOST_S).contains(&settings.retention_s) {
            return Err(StoreError::Invalid(format!("messages are kept for 60 to {} seconds", limits::QUEUE_RETENTION_MOST_S)));
        }
        Ok(queue)
    }
}

impl Stores {
    /// # Errors
    /// When the name is none or is taken, a setting is none, or there are too many.
    pub async fn queue_create(&self, account: &CloudAccountId, wanted: Change) -> Result<Queue, StoreError> {
        let now = self.inner().env.now();
        let fresh = Queue {
            id: hex::encode(self.inner().env.bytes::<16>()),
            name: String::new(),
            settings: Settings { delay_s: 0, retention_s: limits::QUEUE_RETENTION_S, paused: false },
            messages: 0,
            bytes: 0,
            created_at: now,
            modified_at: now,
        };
        let made = wanted.apply(fresh)?;
        let account = account.clone();
        self.change(move |tx| {
            let count: i64 = tx.query_one("select count(*) as n from queue where account = $1", params![account])?.get("n")?;
            if count >= limits::QUEUES {
                return Err(StoreError::TooMany(Thing::Queue, limits::QUEUES));
            }
            let insert = "insert into queue (id, account, name, delay_s, retention_s, paused, messages, bytes, created_at, modified_at)
                values ($1, $2, $3, $4, $5, $6, 0, 0, $7, $7)";
            let set = made.settings;
            tx.execute(insert, params![made.id, account, made.name, set.delay_s, set.retention_s, set.paused, made.created_at])
                .map_err(taken)?;
            Ok(made.clone())
        })
        .await
    }

    /// All of the account's, or those of these names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn queue_list(&self, account: &CloudAccountId, names: Vec<String>) -> Result<Vec<Queue>, StoreError> {
        let account = account.clone();
        self.look(move |tx| {
            let rows = tx.query("select * from queue where account = $1 order by created_at, id", params![account])?;
            let all = rows.iter().map(queue).collect::<Result<Vec<_>, _>>()?;
            Ok(all.into_iter().filter(|queue| names.is_empty() || names.contains(&queue.name)).collect())
        })
        .await
    }

    /// # Errors
    /// When the account has no such queue.
    pub async fn queue_get(&self, account: &CloudAccountId, id: &str) -> Result<Queue, StoreError> {
        let (account, id) = (account.clone(), id.to_owned());
        self.look(move |tx| find(tx, &account, &id)).await
    }

    /// # Errors
    /// When the account has no such queue, or a setting is none.
    pub async fn queue_change(&self, account: &CloudAccountId, id: &str, change: Change) -> Result<Queue, StoreError> {
        let (account, id, now) = (account.clone(), id.to_owned(), self.inner().env.now());
        let changed = self.change(move |tx| {
            let queue = Queue { modified_at: now, ..change.apply(find(tx, &account, &id)?)? };
            let update = "update queue set name = $2, delay_s = $3, retention_s = $4, paused = $5, modified_at = $6 where id = $1";
            let set = queue.settings;
            tx.execute(update, params![id, queue.name, set.delay_s, set.retention_s, set.paused, now]).map_err(taken)?;
            Ok(queue)
        });
        let changed = changed.await?;
        self.inner().queued.notify_one();
        Ok(changed)
    }

    /// The queue is gone at once; its messages are cleared away later.
    ///
    /// # Errors
    /// When the account has no such queue.
    pub async fn queue_delete(&self, account: &CloudAccountId, id: &str) -> Result<(), StoreError> {
        let (account, id, now) = (account.clone(), id.to_owned(), self.inner().env.now());
        self.change(move |tx| {
            if tx.execute("delete from queue where id = $1 and account = $2", params![id, account])? == 0 {
                return Err(StoreError::NotFound(Thing::Queue));
            }
            tx.execute("delete from queue_consumer where queue = $1", params![id])?;
            tx.execute("insert into store_gone (kind, id, at) values ('queue', $1, $2)", params![id, now])?;
            Ok(())
        })
        .await
    }
}

/// The account's queue of this id.
///
/// # Errors
/// When there is none.
pub fn find(tx: &mut Tx<'_>, account: &CloudAccountId, id: &str) -> Result<Queue, StoreError> {
    let row = tx.query_opt("select * from queue where id = $1 and account = $2", params![id, account])?;
    Ok(queue(&row.ok_or(StoreError::NotFound(Thing::Queue))?)?)
}

/// The account's queue of this name.
///
/// # Errors
/// When there is none.
pub fn find_named(tx: &mut Tx<'_>, account: &CloudAccountId, name: &str) -> Result<Queue, StoreError> {
    let row = tx.query_opt("select * from queue where name = $1 and account = $2", params![name, account])?;
    Ok(queue(&row.ok_or(StoreError::NotFound(Thing::Queue))?)?)
}

fn queue(row: &Row) -> Result<Queue, DbError> {
    Ok(Queue {
        id: row.get("id")?,
        name: row.get("name")?,
        settings: Settings { delay_s: row.get("delay_s")?, retention_s: row.get("retention_s")?, paused: row.get("paused")? },
        messages: row.get("messages")?,
        bytes: row.get("bytes")?,
        created_at: row.get("created_at")?,
        modified_at: row.get("modified_at")?,
    })
}

fn taken(e: DbError) -> StoreError {
    if matches!(e, DbError::Unique(_)) { StoreError::Taken(Thing::Queue) } else { e.into() }
}
