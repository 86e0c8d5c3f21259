//! Writing one entry.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::KeyName;
use crate::body::{Gathered, Incoming};
use crate::error::{StoreError, Thing};
use crate::kept::{self, Written};
use crate::room::RoomOf;
use crate::stores::Stores;
use crate::{limits, room};

/// What goes with a value. Metadata is JSON as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub metadata: Option<String>,
    pub expires_at: Option<Timestamp>,
}

impl Options {
    /// Checks what a client sends: seconds from now, which win, or seconds since 1970; and JSON.
    ///
    /// # Errors
    /// When an expiry is none or too soon, or the metadata is too large or not JSON.
    pub fn checked(now: Timestamp, ttl: Option<&str>, at: Option<&str>, metadata: Option<String>) -> Result<Self, StoreError> {
        let number = |name: &str, text: &str| {
            let parsed = text.trim().parse::<i64>().ok().filter(|n| *n > 0 && *n < 1 << 40);
            parsed.ok_or_else(|| StoreError::Invalid(format!("invalid {name} of `{}`: a whole number of seconds is needed", excerpt(text))))
        };
        let least = limits::KV_TTL_S;
        let too_soon = || StoreError::Invalid(format!("an entry expires {least} seconds from now at the earliest"));
        let expires_at = match (ttl, at) {
            (Some(ttl), _) => {
                Some(number("expiration_ttl", ttl).and_then(|s| if s < least { Err(too_soon()) } else { Ok(now.plus_secs(s)) })?)
            }
            (None, Some(at)) => Some(
                number("expiration", at)
                    .and_then(|s| if s < now.as_secs() + least { Err(too_soon()) } else { Ok(Timestamp::from_secs(s)) })?,
            ),
            (None, None) => None,
        };
        if let Some(metadata) = &metadata {
            if metadata.len() > limits::KV_METADATA_BYTES {
                let said = format!("metadata length of {} exceeds limit of {}", metadata.len(), limits::KV_METADATA_BYTES);
                return Err(StoreError::TooLarge(said));
            }
            serde_json::from_str::<serde::de::IgnoredAny>(metadata)
                .map_err(|_| StoreError::Invalid("the metadata is not JSON".to_owned()))?;
        }
        Ok(Self { metadata, expires_at })
    }
}

/// A value on its way into a row.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Inline(Vec<u8>),
    Object(Written),
}

impl Stores {
    /// Writes an entry, durably. The last who writes wins.
    ///
    /// # Errors
    /// When the account has no such namespace, or the value is too large or does not fit any more.
    pub async fn kv_put(
        &self,
        account: &CloudAccountId,
        namespace: &str,
        name: KeyName,
        options: Options,
        value: Incoming,
    ) -> Result<(), StoreError> {
        let content = self.kv_content(account, namespace, value).await?;
        let (account, namespace, now) = (account.clone(), namespace.to_owned(), self.inner().env.now());
        let room = self.inner().room.clone();
        let object = if let Content::Object(written) = &content { Some(written.key.clone()) } else { None };
        let put = self.change(move |tx| entry_put(tx, &room, &account, &namespace, &name, &options, &content, now)).await;
        match (put, object) {
            (Err(e), Some(key)) => Err(self.given_up(&key, e).await),
            (put, _) => put,
        }
    }

    /// Takes a value in. What is large is written before any row names it.
    pub(crate) async fn kv_content(&self, account: &CloudAccountId, namespace: &str, value: Incoming) -> Result<Content, StoreError> {
        match value.gather(limits::INLINE_BYTES).await? {
            Gathered::Whole(bytes) => Ok(Content::Inline(bytes.to_vec())),
            Gathered::More(rest) => {
                // nobody fills the disk through a namespace that is not there
                self.kv_namespace_get(account, namespace).await?;
                Ok(Content::Object(self.write_object(account, "kv", rest, limits::KV_VALUE_BYTES).await?))
            }
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "what one row takes")]
pub(crate) fn entry_put(
    tx: &mut Tx<'_>,
    room: &RoomOf,
    account: &CloudAccountId,
    namespace: &str,
    name: &KeyName,
    options: &Options,
    content: &Content,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (value, object, length) = match content {
        Content::Inline(bytes) => (Some(bytes), None, bytes.len() as u64),
        Content::Object(written) => (None, Some(written.key.as_str()), written.length),
    };
    let length = i64::try_from(length).map_err(StoreError::internal)?;
    let least = limits::KV_ENTRY_LEAST_BYTES;
    let taken = i64::try_from(name.bytes().len() + options.metadata.as_ref().map_or(0, String::len)).map_err(StoreError::internal)?;
    let bytes = (length + taken).max(least);
    let before = tx.query_opt("select bytes, object from kv_entry where namespace = $1 and name = $2", params![namespace, name.bytes()])?;
    let had: i64 = before.as_ref().map_or(Ok(0), |row| row.get("bytes"))?;
    if let Content::Object(written) = content {
        kept::keep(tx, written)?;
    }
    room::claim(tx, room, account, bytes - had)?;
    let grow = "update kv_namespace set bytes = bytes + $3 where id = $1 and account = $2";
    if tx.execute(grow, params![namespace, account, bytes - had])? == 0 {
        return Err(StoreError::NotFound(Thing::Namespace));
    }
    if let Some(old) = before.map(|row| row.get::<Option<String>>("object")).transpose()?.flatten() {
        kept::doom(tx, &old, now)?;
    }
    let upsert = "insert into kv_entry (namespace, name, value, object, length, bytes, metadata, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (namespace, name) do update set value = excluded.value,
        object = excluded.object, length = excluded.length, bytes = excluded.bytes, metadata = excluded.metadata, expires_at = excluded.expires_at";
    tx.execute(upsert, params![namespace, name.bytes(), value, object, length, bytes, options.metadata, options.expires_at])?;
    Ok(())
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}
