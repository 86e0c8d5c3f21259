//! Clears away what is over: entries that expired, uploads that nobody finished, bytes that nothing refers to, and what belonged to
//! something deleted. Each write takes a bounded number, so that nobody waits behind a sweep.

use purser_db::{Tx, params};
use purser_values::Timestamp;

use crate::error::StoreError;
use crate::objects::Key;
use crate::stores::Stores;
use crate::{d1, kept, kv, limits, queue, r2};

impl Stores {
    /// One round; how much it removed.
    ///
    /// # Errors
    /// When the store or the disk fails. What is left is taken up by the next round.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let now = self.inner().env.now();
            let some = self.inner().db.write(move |tx| rows(tx, now)).await?;
            removed += some;
            if some == 0 {
                break;
            }
        }
        loop {
            let some = self.sweep_objects().await?;
            removed += some;
            if some == 0 {
                return Ok(removed + self.d1_sweep().await?);
            }
        }
    }

    /// Bytes first, then their row: a crash between the two repeats the first, which does no harm.
    async fn sweep_objects(&self) -> Result<u64, StoreError> {
        let now = self.inner().env.now();
        let over = self.inner().db.write(move |tx| forgotten(tx, now)).await?;
        for key in &over {
            let parsed: Key = key.parse().map_err(StoreError::internal)?;
            self.inner().objects.delete(&parsed).await?;
            let key = key.clone();
            let delete = "delete from store_object where key = $1 and state = 'doomed'";
            self.inner().db.write(move |tx| tx.execute(delete, params![key]).map_err(StoreError::from)).await?;
        }
        Ok(over.len() as u64)
    }
}

fn rows(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    Ok(kv::sweep::expired(tx, now)?
        + kv::sweep::gone(tx, now)?
        + r2::multipart::stale(tx, now)?
        + d1::transfer::stale(tx, now)?
        + queue::purge::expired(tx, now)?
        + queue::purge::gone(tx)?)
}

/// Objects to remove. An upload that took too long is doomed at once: whoever still writes it is refused at its end.
fn forgotten(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let stale = "select key from store_object where state = 'writing' and at < $1 limit $2";
    for row in tx.query(stale, params![now.plus_secs(-limits::UPLOAD_LIFE_S), limits::SWEEP_BATCH])? {
        kept::doom(tx, &row.get::<String>("key")?, now)?;
    }
    let doomed = "select key from store_object where state = 'doomed' and at < $1 order by at limit $2";
    let rows = tx.query(doomed, params![now.plus_secs(-limits::DOOMED_S), limits::SWEEP_BATCH])?;
    rows.iter().map(|row| Ok(row.get("key")?)).collect()
}
