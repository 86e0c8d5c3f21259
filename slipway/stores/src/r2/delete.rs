//! Removing objects. What is not there needs no removing.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::{bucket, checked_name};
use crate::error::StoreError;
use crate::stores::Stores;
use crate::{kept, limits};

impl Stores {
    /// # Errors
    /// When the account has no such bucket, or a name is none or there are too many.
    pub async fn r2_delete(&self, account: &CloudAccountId, bucket: &str, names: Vec<String>) -> Result<(), StoreError> {
        names.iter().try_for_each(|name| checked_name(name))?;
        if names.len() > limits::R2_LIST {
            return Err(StoreError::Invalid(format!("one call deletes at most {} objects", limits::R2_LIST)));
        }
        let (account, bucket, now) = (account.clone(), bucket.to_owned(), self.inner().env.now());
        self.change(move |tx| {
            let bucket = bucket::find(tx, &account, &bucket)?.id;
            names.iter().try_for_each(|name| object_delete(tx, &bucket, name, now).map(drop))
        })
        .await
    }
}

/// Removes an object of a bucket; what it counted as, when there was one.
pub(super) fn object_delete(tx: &mut Tx<'_>, bucket: &str, name: &str, now: Timestamp) -> Result<Option<i64>, StoreError> {
    let delete = "delete from r2_object where bucket = $1 and name = $2 returning parts, bytes";
    let Some(row) = tx.query_opt(delete, params![bucket, name.as_bytes()])? else { return Ok(None) };
    for (key, _) in row.json::<Vec<(String, u64)>>("parts")? {
        kept::doom(tx, &key, now)?;
    }
    let bytes: i64 = row.get("bytes")?;
    tx.execute("update r2_bucket set bytes = bytes - $2, objects = objects - 1 where id = $1", params![bucket, bytes])?;
    Ok(Some(bytes))
}
