//! Many entries at a time. A bulk write is no transaction, as at Cloudflare: what was written before a refusal stays.

use bytes::Bytes;
use purser_values::id::CloudAccountId;

use super::KeyName;
use super::put::{Content, Options, entry_put};
use crate::body::Incoming;
use crate::error::{StoreError, Thing};
use crate::limits;
use crate::stores::Stores;

/// Entries of one write.
const BATCH: usize = 200;

/// An entry to be written.
#[derive(Clone, Debug)]
pub struct Pair {
    pub name: KeyName,
    pub options: Options,
    pub value: Bytes,
}

/// An entry that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub value: String,
    /// JSON as text.
    pub metadata: Option<String>,
}

impl Stores {
    /// # Errors
    /// When there are too many, one is too large, or the account has no such namespace.
    pub async fn kv_bulk_put(&self, account: &CloudAccountId, namespace: &str, pairs: Vec<Pair>) -> Result<usize, StoreError> {
        let count = pairs.len();
        if count > limits::KV_BULK_PUT {
            return Err(StoreError::Invalid(format!("a bulk write has at most {} pairs", limits::KV_BULK_PUT)));
        }
        let mut pairs = pairs.into_iter().peekable();
        while pairs.peek().is_some() {
            let (mut ready, mut written) = (Vec::new(), Vec::new());
            let some: Vec<Pair> = pairs.by_ref().take(BATCH).collect();
            let put = async {
                for pair in some {
                    let content = self.kv_content(account, namespace, Incoming::of(pair.value)).await?;
                    if let Content::Object(object) = &content {
                        written.push(object.key.clone());
                    }
                    ready.push((pair.name, pair.options, content));
                }
                let (of, id, now) = (account.clone(), namespace.to_owned(), self.inner().env.now());
                let room = self.inner().room.clone();
                self.change(move |tx| {
                    ready.iter().try_for_each(|(name, options, content)| entry_put(tx, &room, &of, &id, name, options, content, now))
                })
                .await
            };
            if let Err(mut e) = put.await {
                // also what was written before the one that failed is nobody's
                for key in &written {
                    e = self.given_up(key, e).await;
                }
                return Err(e);
            }
        }
        Ok(count)
    }

    /// The values of these keys as text; nothing for those that are not there.
    ///
    /// # Errors
    /// When there are none or too many, they are too large together, one is not text, or the account has no such namespace.
    pub async fn kv_bulk_get(
        &self,
        account: &CloudAccountId,
        namespace: &str,
        names: Vec<KeyName>,
    ) -> Result<Vec<(KeyName, Option<Found>)>, StoreError> {
        if names.is_empty() || names.len() > limits::KV_BULK_GET {
            return Err(StoreError::Invalid(format!("a bulk read has 1 to {} keys", limits::KV_BULK_GET)));
        }
        let (mut found, mut bytes) = (Vec::with_capacity(names.len()), 0_u64);
        for name in names {
            let entry = match self.kv_get(account, namespace, &name).await {
                Err(StoreError::NotFound(Thing::Key)) => None,
                entry => Some(entry?),
            };
            let Some(entry) = entry else {
                found.push((name, None));
                continue;
            };
            bytes += entry.value.length;
            if bytes > limits::KV_BULK_GET_BYTES {
                return Err(StoreError::TooLarge(format!("the values are larger than {} bytes together", limits::KV_BULK_GET_BYTES)));
            }
            let value = String::from_utf8(entry.value.whole().await?.to_vec())
                .map_err(|_| StoreError::Invalid("at least one of the requested keys corresponds to a non-text value".to_owned()))?;
            found.push((name, Some(Found { value, metadata: entry.metadata })));
        }
        Ok(found)
    }
}
