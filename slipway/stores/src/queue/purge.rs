//! Emptying queues: because their owner says so, because messages are too old, or because the queue is gone.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::manage::find;
use super::send::grow;
use crate::error::StoreError;
use crate::limits;
use crate::stores::Stores;

impl Stores {
    /// Removes every message of a queue; how many.
    ///
    /// # Errors
    /// When the account has no such queue.
    pub async fn queue_purge(&self, account: &CloudAccountId, queue: &str) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let (of, id) = (account.clone(), queue.to_owned());
            let some = self.change(move |tx| {
                find(tx, &of, &id)?;
                remove(tx, "select id, queue, bytes from queue_message where queue = $1 limit $2", params![id, limits::SWEEP_BATCH])
            });
            match some.await? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }
}

/// Removes messages that nobody took in time; how many.
pub fn expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    remove(tx, "select id, queue, bytes from queue_message where expires_at <= $1 limit $2", params![now, limits::SWEEP_BATCH])
}

/// Removes messages of a queue that was deleted, and its mark with the last.
pub fn gone(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let Some(row) = tx.query_opt("select id from store_gone where kind = 'queue' order by at limit 1", params![])? else { return Ok(0) };
    let queue: String = row.get("id")?;
    let some = remove(tx, "select id, queue, bytes from queue_message where queue = $1 limit $2", params![queue, limits::SWEEP_BATCH])?;
    if some == 0 {
        tx.execute("delete from store_gone where kind = 'queue' and id = $1", params![queue])?;
        return Ok(1);
    }
    Ok(some)
}

fn remove(tx: &mut Tx<'_>, select: &'static str, values: &[purser_db::Value]) -> Result<u64, StoreError> {
    let rows = tx.query(select, values)?;
    for row in &rows {
        tx.execute("delete from queue_message where id = $1", params![row.get::<String>("id")?])?;
        grow(tx, &row.get::<String>("queue")?, -1, -row.get::<i64>("bytes")?)?;
    }
    Ok(rows.len() as u64)
}
