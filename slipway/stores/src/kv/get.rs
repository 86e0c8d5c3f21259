//! Reading one entry.

use bytes::Bytes;
use purser_db::params;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::{KeyName, namespace};
use crate::body::Outgoing;
use crate::error::{StoreError, Thing};
use crate::objects::Key;
use crate::stores::Stores;

/// An entry with its value.
pub struct Entry {
    pub value: Outgoing,
    /// JSON as text.
    pub metadata: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// How often a value is looked up anew that was replaced between its row and its bytes.
const TRIES: usize = 3;

impl Stores {
    /// # Errors
    /// When the account has no such namespace, or the namespace no such key.
    pub async fn kv_get(&self, account: &CloudAccountId, namespace: &str, name: &KeyName) -> Result<Entry, StoreError> {
        for _ in 0..TRIES {
            let (of, id, key, now) = (account.clone(), namespace.to_owned(), name.clone(), self.inner().env.now());
            let row = self.look(move |tx| {
                namespace::find(tx, &of, &id)?;
                let select = "select value, object, length, metadata, expires_at from kv_entry
                    where namespace = $1 and name = $2 and (expires_at is null or expires_at > $3)";
                tx.query_opt(select, params![id, key.bytes(), now])?.ok_or(StoreError::NotFound(Thing::Key))
            });
            let row = row.await?;
            let length = u64::try_from(row.get::<i64>("length")?).map_err(StoreError::internal)?;
            let value = match row.parse_opt::<Key>("object")? {
                None => Some(Outgoing::of(Bytes::from(row.get::<Option<Vec<u8>>>("value")?.unwrap_or_default()))),
                Some(key) => self.inner().objects.get(&key, None).await?.map(|chunks| Outgoing { chunks, length }),
            };
            if let Some(value) = value {
                return Ok(Entry { value, metadata: row.get("metadata")?, expires_at: row.get("expires_at")? });
            }
        }
        Err(StoreError::internal("the bytes of a value are missing"))
    }

    /// The metadata alone, as JSON.
    ///
    /// # Errors
    /// As [`Stores::kv_get`].
    pub async fn kv_metadata(&self, account: &CloudAccountId, namespace: &str, name: &KeyName) -> Result<Option<String>, StoreError> {
        let (of, id, key, now) = (account.clone(), namespace.to_owned(), name.clone(), self.inner().env.now());
        self.look(move |tx| {
            namespace::find(tx, &of, &id)?;
            let select = "select metadata from kv_entry where namespace = $1 and name = $2 and (expires_at is null or expires_at > $3)";
            let row = tx.query_opt(select, params![id, key.bytes(), now])?.ok_or(StoreError::NotFound(Thing::Key))?;
            Ok(row.get("metadata")?)
        })
        .await
    }
}
