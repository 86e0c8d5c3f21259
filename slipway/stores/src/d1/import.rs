//! Running a file of SQL that was uploaded: one transaction, and once.
//!
//! INVARIANT (imported-once): the transaction that applies a file also writes the file's mark into the header of the database (64 bits that
//! strangers' SQL can neither read nor write). What it will have done is in the books before it is committed, and that it did after. A crash in
//! between leaves the mark, by which whoever comes next tells it from a file that was not applied.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use rusqlite::Connection;

use super::call::Call;
use super::database;
use super::engine::Held;
use super::query::{Answer, Meta, Query};
use super::run::{Bounds, done, transaction};
use super::transfer::Imported;
use crate::body::Outgoing;
use crate::error::{StoreError, Thing};
use crate::kept;
use crate::objects::Key;
use crate::stores::Stores;

/// The files that are being run, so that none is run twice at a time.
#[derive(Default)]
pub struct Imports(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Imports {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = all.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        all.insert(name.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

/// What tells the last file that was applied to a database; two numbers of its header (sqlite.org/fileformat2.html, 1.3.14 and 1.3.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(i32, i32);

impl Mark {
    /// That of the transfer whose key has this digest, in hexadecimal.
    fn of(digest: &str) -> Result<Self, StoreError> {
        let part = |range| digest.get(range).and_then(|hex| u32::from_str_radix(hex, 16).ok()).map(u32::cast_signed);
        let digits = part(0..8).zip(part(8..16)).ok_or_else(|| StoreError::internal("a transfer has no digest"))?;
        Ok(Self(digits.0, digits.1))
    }

    fn read(connection: &Connection) -> Result<Self, StoreError> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(StoreError::internal);
        Ok(Self(number("application_id")?, number("user_version")?))
    }

    fn write(self, connection: &Connection) -> Result<(), StoreError> {
        let write = |pragma, number| connection.pragma_update(None, pragma, number).map_err(StoreError::internal);
        write("application_id", self.0)?;
        write("user_version", self.1)
    }
}

/// One file that is to be run.
struct File {
    /// The digest of the transfer's key.
    token: String,
    object: Option<Key>,
    length: u64,
}

impl Stores {
    /// Runs an uploaded file. Asked again, also at the same time or after a crash, it tells again what it did.
    ///
    /// # Errors
    /// When there is no such file, or a statement of it fails.
    pub async fn d1_import(&self, account: &CloudAccountId, id: &str, name: &str) -> Result<Imported, StoreError> {
        let (stores, account, id, name) = (self.clone(), account.clone(), id.to_owned(), name.to_owned());
        // a task of its own: what was run is noted even when whoever asked has gone
        let run = tokio::spawn(async move {
            let turn = stores.inner().imports.of(&name);
            let _turn = turn.lock().await;
            stores.import_once(&account, &id, &name).await
        });
        run.await.map_err(StoreError::internal)?
    }

    async fn import_once(&self, account: &CloudAccountId, id: &str, name: &str) -> Result<Imported, StoreError> {
        let (of, at, file) = (account.clone(), id.to_owned(), name.to_owned());
        let row = self.allowed(move |tx| {
            database::find(tx, &of, &at)?;
            let select = "select token, object, length, outcome from d1_transfer where name = $1 and database = $2 and account = $3 and kind = 'import'";
            tx.query_opt(select, params![file, at, of])?.ok_or(StoreError::NotFound(Thing::Transfer))
        });
        let row = row.await?;
        if let Some(outcome) = row.get::<Option<String>>("outcome")? {
            return serde_json::from_str(&outcome).map_err(StoreError::internal);
        }
        let length = u64::try_from(row.get::<Option<i64>>("length")?.unwrap_or(0)).map_err(StoreError::internal)?;
        let file = File { token: row.get("token")?, object: row.parse_opt("object")?, length };
        if let Some(imported) = self.crashed(account, id, &file).await? {
            return Ok(imported);
        }
        let sql = self.text(&file).await?;
        let (told, hear) = tokio::sync::oneshot::channel();
        let (token, at) = (file.token.clone(), id.to_owned());
        let ran = self.d1_with(account, id, move |held, call| {
            let mark = Mark::of(&token)?;
            settle_last(held, call, &at)?;
            let mut imported = None;
            let answers = transaction(held, &[Query { sql, params: None }], Bounds::IMPORT, call, |connection, answers, call| {
                let will = imported_of(answers);
                let (of, text) = (token.clone(), serde_json::to_string(&will).map_err(StoreError::internal)?);
                call.note(move |tx| Ok(tx.execute("update d1_transfer set tried = $2 where token = $1", params![of, text]).map(drop)?))?;
                imported = Some(will);
                mark.write(connection)
            })?;
            let moment = held.history.committed()?;
            let done = done(held, answers, moment)?;
            // nobody listens any more when the caller has gone
            let _ = told.send(imported.map(|will| Imported { bookmark: done.bookmark.clone(), size_after: done.bytes, ..will }));
            Ok(done)
        });
        ran.await?;
        let imported = hear.await.map_err(StoreError::internal)?.ok_or_else(|| StoreError::internal("an import told nothing"))?;
        self.noted(&file, &imported).await?;
        Ok(imported)
    }

    /// What a file did that was applied before a crash, of which nobody could note that it was.
    async fn crashed(&self, account: &CloudAccountId, id: &str, file: &File) -> Result<Option<Imported>, StoreError> {
        let token = file.token.clone();
        let tried = self.look(move |tx| {
            let row = tx.query_one("select tried from d1_transfer where token = $1", params![token])?;
            Ok(row.get::<Option<String>>("tried")?)
        });
        let Some(tried) = tried.await? else { return Ok(None) };
        let will: Imported = serde_json::from_str(&tried).map_err(StoreError::internal)?;
        let (mark, (told, hear)) = (Mark::of(&file.token)?, tokio::sync::oneshot::channel());
        let looked = self.d1_with(account, id, move |held, _| {
            let _ = told.send(Mark::read(&held.history.connection)? == mark);
            done(held, Vec::new(), held.history.moment())
        });
        let looked = looked.await?;
        if !hear.await.map_err(StoreError::internal)? {
            return Ok(None);
        }
        let imported = Imported { bookmark: looked.bookmark, size_after: looked.bytes, ..will };
        self.noted(file, &imported).await?;
        Ok(Some(imported))
    }

    async fn text(&self, file: &File) -> Result<String, StoreError> {
        let key = file.object.as_ref().ok_or(StoreError::NotFound(Thing::Transfer))?;
        let chunks = self.inner().objects.get(key, None).await?.ok_or(StoreError::NotFound(Thing::Transfer))?;
        let bytes = Outgoing { chunks, length: file.length }.whole().await?;
        String::from_utf8(bytes.to_vec()).map_err(|_| StoreError::Sql("the file is not UTF-8".to_owned()))
    }

    async fn noted(&self, file: &File, imported: &Imported) -> Result<(), StoreError> {
        let outcome = serde_json::to_string(imported).map_err(StoreError::internal)?;
        let (token, now) = (file.token.clone(), self.inner().env.now());
        self.inner().db.write(move |tx| note(tx, &token, &outcome, now)).await
    }
}

/// Notes of the last file that was applied that it was, where a crash kept that out of the books: the next mark takes its mark's place.
fn settle_last(held: &Held, call: &mut Call, database: &str) -> Result<(), StoreError> {
    let last = Mark::read(&held.history.connection)?;
    if last == Mark(0, 0) {
        return Ok(());
    }
    let (database, bookmark, now) = (database.to_owned(), held.history.bookmark(held.history.moment()), held.history.now());
    call.note(move |tx| {
        let open = "select token, tried from d1_transfer where database = $1 and kind = 'import' and outcome is null and tried is not null";
        for row in tx.query(open, params![database])? {
            let token: String = row.get("token")?;
            if Mark::of(&token)? == last {
                let will: Imported = row.json("tried")?;
                let outcome = serde_json::to_string(&Imported { bookmark: bookmark.clone(), ..will }).map_err(StoreError::internal)?;
                note(tx, &token, &outcome, now)?;
            }
        }
        Ok(())
    })
}

/// Says what a file did, and that it is not needed any more.
fn note(tx: &mut Tx<'_>, token: &str, outcome: &str, now: Timestamp) -> Result<(), StoreError> {
    let row = tx.query_opt("select object from d1_transfer where token = $1", params![token])?;
    if let Some(object) = row.map(|row| row.get::<Option<String>>("object")).transpose()?.flatten() {
        kept::doom(tx, &object, now)?;
    }
    let update = "update d1_transfer set outcome = $2, object = null where token = $1";
    Ok(tx.execute(update, params![token, outcome]).map(drop)?)
}

/// What the answers of an import tell, but for what only its commit makes.
fn imported_of(answers: &[Answer]) -> Imported {
    let (statements, meta) = answers.first().map_or((0, Meta::default()), |all| (all.rows.len() + 1, all.meta.clone()));
    Imported {
        statements,
        bookmark: String::new(),
        duration: meta.duration,
        rows_read: meta.rows_read,
        rows_written: meta.rows_written,
        changes: meta.changes,
        last_row_id: meta.last_row_id,
        size_after: meta.size_after,
    }
}
