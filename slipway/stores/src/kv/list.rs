//! Listing keys, in the order of their bytes. A cursor names the last key that was told.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use purser_db::params;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::namespace;
use crate::error::StoreError;
use crate::limits;
use crate::stores::Stores;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub prefix: String,
    pub cursor: Option<String>,
    /// [`limits::KV_LIST`] unless it says less.
    pub limit: Option<usize>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<Listed>,
    /// Where the next page begins; nothing on the last.
    pub cursor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub expires_at: Option<Timestamp>,
    /// JSON as text.
    pub metadata: Option<String>,
}

impl Stores {
    /// # Errors
    /// When the account has no such namespace, or what is asked for is no page.
    pub async fn kv_list(&self, account: &CloudAccountId, namespace: &str, query: Query) -> Result<Page, StoreError> {
        let limit = query.limit.unwrap_or(limits::KV_LIST);
        if limit == 0 || limit > limits::KV_LIST {
            return Err(StoreError::Invalid(format!("a page has 1 to {} keys", limits::KV_LIST)));
        }
        if query.prefix.len() > limits::KV_KEY_BYTES {
            return Err(super::too_long(query.prefix.len()));
        }
        let after = cursor(query.cursor.as_deref())?;
        let (account, id, now) = (account.clone(), namespace.to_owned(), self.inner().env.now());
        let asked = i64::try_from(limit + 1).map_err(StoreError::internal)?;
        let (from, to) = range(query.prefix.as_bytes());
        let rows = self.look(move |tx| {
            namespace::find(tx, &account, &id)?;
            let select = "select name, metadata, expires_at from kv_entry where namespace = $1 and name >= $2 and name < $3 and name > $4
                and (expires_at is null or expires_at > $5) order by name limit $6";
            Ok(tx.query(select, params![id, from, to, after, now, asked])?)
        });
        let rows = rows.await?;
        let mut keys = Vec::with_capacity(rows.len().min(limit));
        for row in rows.iter().take(limit) {
            let name = String::from_utf8(row.get("name")?).map_err(StoreError::internal)?;
            keys.push(Listed { name, expires_at: row.get("expires_at")?, metadata: row.get("metadata")? });
        }
        let more = rows.len() > limit;
        let cursor = keys.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(&last.name));
        Ok(Page { keys, cursor })
    }
}

/// The key after which a page begins.
fn cursor(text: Option<&str>) -> Result<Vec<u8>, StoreError> {
    let decoded = URL_SAFE_NO_PAD.decode(text.unwrap_or_default());
    decoded.map_err(|_| StoreError::Invalid("the cursor is not one of ours; begin without it".to_owned()))
}

/// Everything that begins with the prefix: from it, to what follows the last such key. No key has a byte of 255.
pub(crate) fn range(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.to_vec();
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.push(u8::MAX),
    }
    (prefix.to_vec(), end)
}
