//! One call on a database: how large it may make it, what ends it, and its place in the books.
//!
//! INVARIANT (booked-first): what a database grows by is in the books, where the room for it is claimed, before it is committed; and what it
//! is in the end is brought there by the thread that ran the call, not by whoever waits for it and may go away.

use purser_db::{Tx, params};
use purser_values::id::CloudAccountId;
use tokio::runtime::Handle;

use super::database::Database;
use super::engine::Held;
use super::run::{Done, size};
use super::stop::{Asking, Stop};
use crate::error::{StoreError, Thing};
use crate::stores::Stores;
use crate::{limits, room};

/// A call that has its turn.
pub struct Call {
    /// What the database may become, in bytes.
    pub most_bytes: u64,
    pub stop: Stop,
    stores: Stores,
    runtime: Handle,
    account: CloudAccountId,
    id: String,
    /// What the books say of it.
    bytes: i64,
    tables: i64,
    /// What its account may still keep, in bytes; less than nothing where it keeps too much.
    left: i64,
    reserved: bool,
    /// Whether room in the past was claimed too.
    past: bool,
}

impl Call {
    /// Begins a call on a database that was just looked up; `left` is what its account may still keep. It ends when nobody waits for it.
    pub fn begin(stores: &Stores, account: &CloudAccountId, known: &Database, left: i64) -> (Self, Asking) {
        let most_bytes = limits::D1_BYTES.min(u64::try_from(known.bytes.saturating_add(left.max(0))).unwrap_or(0));
        let (stop, asking) = Stop::new(&stores.inner().d1.disk);
        let (stores, runtime, account, id) = (stores.clone(), Handle::current(), account.clone(), known.id.clone());
        (
            Self {
                most_bytes,
                stop,
                stores,
                runtime,
                account,
                id,
                bytes: known.bytes,
                tables: known.tables,
                left,
                reserved: false,
                past: false,
            },
            asking,
        )
    }

    /// Refuses a change where the account keeps more than it may by more than a little: what every change leaves in the past is bounded so.
    ///
    /// # Errors
    /// When it does.
    pub fn admit(&self, changes: bool) -> Result<(), StoreError> {
        let full = || StoreError::Sql("the account is full: SQLITE_FULL".to_owned());
        if changes && self.left < -limits::D1_PAST_BEYOND_BYTES { Err(full()) } else { Ok(()) }
    }

    /// Claims the room for what is about to be written beside the database's own growth: `more` in its past, and for the database to become
    /// `bytes`. To be called on the thread of the call.
    ///
    /// # Errors
    /// As [`Call::reserve`].
    pub fn reserve_past(&mut self, more: u64, bytes: u64) -> Result<(), StoreError> {
        let (more, bytes) = (i64::try_from(more).map_err(StoreError::internal)?, i64::try_from(bytes).map_err(StoreError::internal)?);
        let (account, id, room) = (self.account.clone(), self.id.clone(), self.stores.inner().room.clone());
        let claim = self.stores.change(move |tx| {
            let row = tx.query_opt("select bytes from d1_database where id = $1 and account = $2", params![id, account])?;
            let known: i64 = row.ok_or(StoreError::NotFound(Thing::Database))?.get("bytes")?;
            let grown = bytes.max(known);
            room::claim(tx, &room, &account, more.saturating_add(grown - known))?;
            tx.execute("update d1_database set bytes = $2, past = past + $3 where id = $1", params![id, grown, more])?;
            Ok(grown)
        });
        (self.bytes, self.reserved, self.past) = (self.runtime.block_on(claim)?, true, true);
        Ok(())
    }

    /// Writes something of the call into the books, on the caller's condition. To be called on the thread of the call.
    ///
    /// # Errors
    /// As `write`.
    pub fn note(&self, write: impl Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static) -> Result<(), StoreError> {
        self.runtime.block_on(self.stores.change(write))
    }

    /// Claims the room for what the database has become. To be called on the thread of the call, before the commit.
    ///
    /// # Errors
    /// When there is no such room, the caller was stopped, or the database was deleted meanwhile.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), StoreError> {
        let bytes = i64::try_from(bytes).map_err(StoreError::internal)?;
        if bytes <= self.bytes {
            return Ok(());
        }
        let (account, id, room) = (self.account.clone(), self.id.clone(), self.stores.inner().room.clone());
        let claim = self.stores.change(move |tx| {
            let row = tx.query_opt("select bytes from d1_database where id = $1 and account = $2", params![id, account])?;
            let known: i64 = row.ok_or(StoreError::NotFound(Thing::Database))?.get("bytes")?;
            room::claim(tx, &room, &account, bytes - known)?;
            tx.execute("update d1_database set bytes = $2 where id = $1", params![id, bytes])?;
            Ok(())
        });
        self.runtime.block_on(claim)?;
        (self.bytes, self.reserved) = (bytes, true);
        Ok(())
    }

    /// Brings what the database is to the books, whatever became of the call.
    ///
    /// # Errors
    /// When the database or the books fail.
    pub fn settle(&self, done: Option<&Done>, held: &Held) -> Result<(), StoreError> {
        let (id, db) = (self.id.clone(), &self.stores.inner().db);
        let Some(done) = done else {
            // what was claimed did not come
            if !self.reserved {
                return Ok(());
            }
            let bytes = i64::try_from(size(&held.history.connection)?).map_err(StoreError::internal)?;
            let past = i64::try_from(held.history.past_bytes()?).map_err(StoreError::internal)?;
            let update = "update d1_database set bytes = $2, past = $3 where id = $1";
            return Ok(self.runtime.block_on(db.write(move |tx| tx.execute(update, params![id, bytes, past]).map(drop)))?);
        };
        let (bytes, past) = (i64::try_from(done.bytes).unwrap_or(i64::MAX), i64::try_from(done.past).unwrap_or(i64::MAX));
        let tables = done.tables;
        if self.past || bytes != self.bytes || tables != self.tables || done.past % limits::D1_SEGMENT_BYTES < limits::D1_SEGMENT_BYTES / 8
        {
            // not the caller's change: it is made already
            let update = "update d1_database set bytes = $2, past = $3, tables = $4 where id = $1";
            self.runtime.block_on(db.write(move |tx| tx.execute(update, params![id, bytes, past, tables]).map(drop)))?;
        }
        Ok(())
    }
}
