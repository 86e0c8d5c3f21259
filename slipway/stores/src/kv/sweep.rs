//! Clearing away entries that expired, and those of namespaces that are gone.

use purser_db::{Tx, params};
use purser_values::Timestamp;

use super::delete::entry_delete;
use crate::error::StoreError;
use crate::limits;

/// Removes entries that have expired; how many.
pub fn expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let select = "select namespace, name from kv_entry where expires_at <= $1 order by expires_at limit $2";
    let rows = tx.query(select, params![now, limits::SWEEP_BATCH])?;
    for row in &rows {
        let namespace: String = row.get("namespace")?;
        if let Some(bytes) = entry_delete(tx, &namespace, &row.get::<Vec<u8>>("name")?, now)? {
            tx.execute("update kv_namespace set bytes = bytes - $2 where id = $1", params![namespace, bytes])?;
        }
    }
    Ok(rows.len() as u64)
}

/// Removes entries of a namespace that was deleted, and its mark with the last; how much.
pub fn gone(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let Some(row) = tx.query_opt("select id from store_gone where kind = 'kv' order by at limit 1", params![])? else { return Ok(0) };
    let namespace: String = row.get("id")?;
    let rows = tx.query("select name from kv_entry where namespace = $1 limit $2", params![namespace, limits::SWEEP_BATCH])?;
    for row in &rows {
        entry_delete(tx, &namespace, &row.get::<Vec<u8>>("name")?, now)?;
    }
    if rows.is_empty() {
        tx.execute("delete from store_gone where kind = 'kv' and id = $1", params![namespace])?;
    }
    Ok(rows.len() as u64 + u64::from(rows.is_empty()))
}
