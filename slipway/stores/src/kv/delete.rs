//! Removing entries. What is not there needs no removing.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::KeyName;
use crate::error::{StoreError, Thing};
use crate::kept;
use crate::stores::Stores;

impl Stores {
    /// How many there were.
    ///
    /// # Errors
    /// When the account has no such namespace.
    pub async fn kv_delete(&self, account: &CloudAccountId, namespace: &str, names: Vec<KeyName>) -> Result<u64, StoreError> {
        let (account, namespace, now) = (account.clone(), namespace.to_owned(), self.inner().env.now());
        self.change(move |tx| {
            let mut removed = Vec::new();
            for name in &names {
                removed.extend(entry_delete(tx, &namespace, name.bytes(), now)?);
            }
            let shrink = "update kv_namespace set bytes = bytes - $3 where id = $1 and account = $2";
            if tx.execute(shrink, params![namespace, account, removed.iter().sum::<i64>()])? == 0 {
                return Err(StoreError::NotFound(Thing::Namespace));
            }
            Ok(removed.len() as u64)
        })
        .await
    }
}

/// What the entry counted as, when there was one.
pub(super) fn entry_delete(tx: &mut Tx<'_>, namespace: &str, name: &[u8], now: Timestamp) -> Result<Option<i64>, StoreError> {
    let delete = "delete from kv_entry where namespace = $1 and name = $2 returning bytes, object";
    let Some(row) = tx.query_opt(delete, params![namespace, name])? else { return Ok(None) };
    if let Some(object) = row.get::<Option<String>>("object")? {
        kept::doom(tx, &object, now)?;
    }
    Ok(Some(row.get("bytes")?))
}
