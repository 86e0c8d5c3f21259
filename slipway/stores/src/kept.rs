//! Bytes behind the trait for objects: counted before they are written, and removed when nothing refers to them.
//!
//! INVARIANT (kept-objects): a row of `store_object` is committed before its bytes are written, and deleted after they are removed; a row
//! that says `kept` is made so in the very write that refers to the object, and `doomed` in the write that ceases to. So no crash leaves bytes
//! that nobody knows of, nor a reference to bytes that are gone.

use std::io;

use futures_util::StreamExt as _;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::body::Incoming;
use crate::error::StoreError;
use crate::objects::Key;
use crate::room;
use crate::stores::Stores;

/// Bytes that were written, for the write that refers to them.
#[derive(Clone, Debug)]
pub struct Written {
    pub key: Key,
    pub length: u64,
}

impl Stores {
    /// Writes what comes behind the trait, durably; at most as much as was announced, or `most`.
    pub(crate) async fn write_object(
        &self,
        account: &CloudAccountId,
        folder: &'static str,
        incoming: Incoming,
        most: u64,
    ) -> Result<Written, StoreError> {
        let too_large = || StoreError::TooLarge(format!("there is more than {most} bytes"));
        if incoming.length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let key = Key::mint(&self.inner().env, folder);
        let (id, of, now) = (key.to_string(), account.clone(), self.inner().env.now());
        let (length, room) = (incoming.length, self.inner().room.clone());
        let announced = self.change(move |tx| {
            // who does not say how much comes gets what there is room for
            let announced = match length {
                Some(length) => length,
                None => most.min(u64::try_from(room::left(tx, &room, &of)?).unwrap_or(0).max(1)),
            };
            let bytes = i64::try_from(announced).map_err(StoreError::internal)?;
            room::claim(tx, &room, &of, bytes)?;
            let insert = "insert into store_object (key, account, bytes, state, at) values ($1, $2, $3, 'writing', $4)";
            tx.execute(insert, params![id, of, bytes, now])?;
            Ok(announced)
        });
        let announced = announced.await?;
        let mut read = 0_u64;
        let held = incoming.chunks.map(move |piece| {
            let piece = piece?;
            read += piece.len() as u64;
            if read > announced { Err(io::Error::other(Overflow)) } else { Ok(piece) }
        });
        match self.inner().objects.put(&key, held.boxed()).await {
            Ok(length) if incoming.length.is_none_or(|said| said == length) => Ok(Written { key, length }),
            Ok(_) => Err(self.given_up(&key, StoreError::Broken).await),
            Err(e) if is_overflow(&e) => Err(self.given_up(&key, too_large()).await),
            Err(e) => Err(self.given_up(&key, e.into()).await),
        }
    }

    /// Has bytes removed that no write came to refer to.
    pub(crate) async fn given_up(&self, key: &Key, why: StoreError) -> StoreError {
        let (id, now) = (key.to_string(), self.inner().env.now());
        let doomed = self.inner().db.write(move |tx| doom(tx, &id, now)).await;
        if let Err(e) = doomed {
            // it still says `writing` and goes with those
            tracing::warn!(%key, error = %e, "an object that nobody needs is removed later");
        }
        why
    }
}

/// Says in the write that refers to it that an object is needed.
///
/// # Errors
/// When a sweep took it for forgotten: whoever wrote it took longer than an upload may.
pub fn keep(tx: &mut Tx<'_>, written: &Written) -> Result<(), StoreError> {
    let update = "update store_object set state = 'kept', bytes = $2 where key = $1 and state = 'writing'";
    let length = i64::try_from(written.length).map_err(StoreError::internal)?;
    if tx.execute(update, params![written.key.as_str(), length])? == 1 { Ok(()) } else { Err(StoreError::Broken) }
}

/// Says in the write that ceases to refer to it that an object is not needed any more.
pub fn doom(tx: &mut Tx<'_>, key: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute("update store_object set state = 'doomed', at = $2 where key = $1", params![key, now]).map(drop)
}

#[derive(Debug, thiserror::Error)]
#[error("more came than was announced")]
struct Overflow;

fn is_overflow(e: &io::Error) -> bool {
    e.get_ref().is_some_and(|inner| inner.is::<Overflow>())
}
