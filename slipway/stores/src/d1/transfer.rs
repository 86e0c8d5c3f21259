//! Files of SQL on their way in and out. Each has an address that is its own key: 256 random bits, kept as a digest, good for an hour, and no
//! longer than the right of whoever asked for it. Running one that came in is [`super::import`].

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use md5::{Digest as _, Md5};
use purser_db::{Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::database;
use super::dump::{Options, dump};
use super::run::done;
use crate::body::{Chunks, Incoming, Outgoing, sender_failed};
use crate::error::{StoreError, Thing};
use crate::kept::{self, Written};
use crate::limits;
use crate::objects::Key;
use crate::stores::Stores;

/// A file that may be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub name: String,
    /// The last part of its address.
    pub token: String,
}

/// A file that may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub name: String,
    pub token: String,
    pub bookmark: String,
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub account: CloudAccountId,
    /// Who asked for it, as the caller calls that.
    pub by: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    pub statements: usize,
    pub bookmark: String,
    pub duration: f64,
    pub rows_read: u64,
    pub rows_written: u64,
    pub changes: u64,
    pub last_row_id: i64,
    pub size_after: u64,
}

impl Stores {
    /// Announces a file with this MD5. `by` is whose right the address hangs on, for [`Stores::d1_transfer_holder`].
    ///
    /// # Errors
    /// When the account has no such database, or the MD5 is none.
    pub async fn d1_import_begin(&self, account: &CloudAccountId, id: &str, etag: &str, by: Option<&str>) -> Result<Upload, StoreError> {
        let etag = etag.to_ascii_lowercase();
        if etag.len() != 32 || !etag.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(StoreError::Invalid("the `etag` of a file is its MD5 in hexadecimal".to_owned()));
        }
        let token = hex::encode(self.inner().env.bytes::<32>());
        let made = Upload { name: format!("{id}.{}.sql", &hex::encode(self.inner().env.bytes::<8>())), token };
        let expires_at = self.inner().env.now().plus_secs(limits::D1_TRANSFER_LIFE_S);
        let (account, id, by) = (account.clone(), id.to_owned(), by.map(str::to_owned));
        self.change(move |tx| {
            database::find(tx, &account, &id)?;
            let insert = "insert into d1_transfer (token, database, account, kind, name, etag, expires_at, holder)
                values ($1, $2, $3, 'import', $4, $5, $6, $7)";
            tx.execute(insert, params![digest(&made.token), id, account, made.name, etag, expires_at, by])?;
            Ok(made.clone())
        })
        .await
    }

    /// Whose an address is, to be asked before it is used.
    ///
    /// # Errors
    /// When there is no such address any more.
    pub async fn d1_transfer_holder(&self, token: &str) -> Result<Holder, StoreError> {
        let (token, now) = (digest(token), self.inner().env.now());
        self.look(move |tx| {
            let select = "select account, holder from d1_transfer where token = $1 and expires_at > $2";
            let row = tx.query_opt(select, params![token, now])?.ok_or(StoreError::NotFound(Thing::Transfer))?;
            Ok(Holder { account: row.parse("account")?, by: row.get("holder")? })
        })
        .await
    }

    /// Takes the file; whoever has the address may send it. Its MD5.
    ///
    /// # Errors
    /// When there is no such address any more, or the file is another one or too large.
    pub async fn d1_upload(&self, token: &str, file: Incoming) -> Result<String, StoreError> {
        let (token, now) = (digest(token), self.inner().env.now());
        let sought = token.clone();
        let row = self.look(move |tx| {
            let select =
                "select account, etag from d1_transfer where token = $1 and kind = 'import' and outcome is null and expires_at > $2";
            tx.query_opt(select, params![sought, now])?.ok_or(StoreError::NotFound(Thing::Transfer))
        });
        let row = row.await?;
        let (account, etag): (CloudAccountId, String) = (row.parse("account")?, row.get("etag")?);
        let sum = Arc::new(Mutex::new(Md5::new()));
        let seen = sum.clone();
        let chunks = file.chunks.inspect(move |piece| {
            if let Ok(piece) = piece {
                seen.lock().unwrap_or_else(PoisonError::into_inner).update(piece);
            }
        });
        let file = Incoming { chunks: chunks.boxed(), length: file.length };
        let written = self.write_object(&account, "d1", file, limits::D1_IMPORT_BYTES as u64).await?;
        let found = hex::encode(sum.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize());
        if found != etag {
            return Err(self.given_up(&written.key, StoreError::Invalid("the file is not the one that was announced".to_owned())).await);
        }
        let key = written.key.clone();
        match self.change(move |tx| put_file(tx, &token, &written, now)).await {
            Ok(()) => Ok(etag),
            Err(e) => Err(self.given_up(&key, e).await),
        }
    }

    /// What the database's last import did.
    ///
    /// # Errors
    /// When there was none.
    pub async fn d1_import_last(&self, account: &CloudAccountId, id: &str) -> Result<Imported, StoreError> {
        let (account, id) = (account.clone(), id.to_owned());
        self.look(move |tx| {
            let select = "select outcome from d1_transfer where database = $1 and account = $2 and kind = 'import' and outcome is not null
                order by expires_at desc limit 1";
            let row = tx.query_opt(select, params![id, account])?.ok_or(StoreError::NotFound(Thing::Transfer))?;
            Ok(row.json("outcome")?)
        })
        .await
    }

    /// Writes the database down as SQL. `by` as of an import.
    ///
    /// # Errors
    /// When the account has no such database, or there is no room for the file.
    pub async fn d1_export(&self, account: &CloudAccountId, id: &str, options: Options, by: Option<&str>) -> Result<Export, StoreError> {
        let (lines, chunks) = tokio::sync::mpsc::channel::<Vec<u8>>(8);
        let chunks: Chunks = futures_util::stream::unfold(chunks, |mut chunks| async move {
            let piece = chunks.recv().await?;
            Some((if piece.is_empty() { Err(sender_failed(&StoreError::Broken)) } else { Ok(piece.into()) }, chunks))
        })
        .boxed();
        let dumped = self.d1_with(account, id, move |held, _| {
            let mut held_back = Vec::new();
            let gone = |_| StoreError::Broken;
            let dumped = dump(&held.history.connection, &options, |line| {
                held_back.extend_from_slice(line.as_bytes());
                held_back.push(b'\n');
                if held_back.len() > 1 << 16 { lines.blocking_send(std::mem::take(&mut held_back)).map_err(gone) } else { Ok(()) }
            });
            // nothing at all says that it failed: a file whose last line was sent already has nothing more
            if dumped.is_err() || !held_back.is_empty() {
                lines.blocking_send(if dumped.is_ok() { held_back } else { Vec::new() }).map_err(gone)?;
            }
            dumped?;
            done(held, Vec::new(), held.history.moment())
        });
        let file = Incoming { chunks, length: None };
        let written = self.write_object(account, "d1", file, 2 * limits::D1_BYTES);
        let (dumped, written) = tokio::join!(dumped, written);
        let bookmark = match (dumped, &written) {
            (Ok(done), _) => done.bookmark,
            (Err(e), Ok(written)) => return Err(self.given_up(&written.key, e).await),
            // whoever dumps only knows that nobody takes it any more
            (Err(StoreError::Broken), Err(_)) => return Err(written.err().unwrap_or(StoreError::Broken)),
            (Err(e), Err(_)) => return Err(e),
        };
        let written = written?;
        let made = Export { name: format!("{id}.sql"), token: hex::encode(self.inner().env.bytes::<32>()), bookmark };
        let expires_at = self.inner().env.now().plus_secs(limits::D1_TRANSFER_LIFE_S);
        let (account, id, key, by) = (account.clone(), id.to_owned(), written.key.clone(), by.map(str::to_owned));
        let stored = self.change(move |tx| {
            kept::keep(tx, &written)?;
            let insert = "insert into d1_transfer (token, database, account, kind, name, object, length, expires_at, holder)
                values ($1, $2, $3, 'export', $4, $5, $6, $7, $8)";
            let length = i64::try_from(written.length).map_err(StoreError::internal)?;
            tx.execute(insert, params![digest(&made.token), id, account, made.name, written.key.as_str(), length, expires_at, by])?;
            Ok(made.clone())
        });
        match stored.await {
            Ok(made) => Ok(made),
            Err(e) => Err(self.given_up(&key, e).await),
        }
    }

    /// The file of an export; whoever has the address may fetch it.
    ///
    /// # Errors
    /// When there is no such address any more.
    pub async fn d1_download(&self, token: &str) -> Result<Outgoing, StoreError> {
        let (token, now) = (digest(token), self.inner().env.now());
        let row = self.look(move |tx| {
            let select = "select object, length from d1_transfer where token = $1 and kind = 'export' and expires_at > $2";
            tx.query_opt(select, params![token, now])?.ok_or(StoreError::NotFound(Thing::Transfer))
        });
        let row = row.await?;
        let key: Key = row.parse("object")?;
        let length = u64::try_from(row.get::<i64>("length")?).map_err(StoreError::internal)?;
        let chunks = self.inner().objects.get(&key, None).await?.ok_or(StoreError::NotFound(Thing::Transfer))?;
        Ok(Outgoing { chunks, length })
    }
}

/// Gives an announced file its bytes, in place of those that it had.
fn put_file(tx: &mut Tx<'_>, token: &str, written: &Written, now: Timestamp) -> Result<(), StoreError> {
    let select = "select object from d1_transfer where token = $1 and outcome is null";
    let row = tx.query_opt(select, params![token])?.ok_or(StoreError::NotFound(Thing::Transfer))?;
    if let Some(old) = row.get::<Option<String>>("object")? {
        kept::doom(tx, &old, now)?;
    }
    kept::keep(tx, written)?;
    let length = i64::try_from(written.length).map_err(StoreError::internal)?;
    tx.execute("update d1_transfer set object = $2, length = $3 where token = $1", params![token, written.key.as_str(), length])?;
    Ok(())
}

/// Forgets transfers whose time is over; how many.
pub fn stale(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let rows = tx.query("select token, object from d1_transfer where expires_at < $1 limit 100", params![now])?;
    for row in &rows {
        if let Some(object) = row.get::<Option<String>>("object")? {
            kept::doom(tx, &object, now)?;
        }
        tx.execute("delete from d1_transfer where token = $1", params![row.get::<String>("token")?])?;
    }
    Ok(rows.len() as u64)
}

/// As a key of an address is kept: whoever reads the table cannot use it.
fn digest(token: &str) -> String {
    Sha256Digest::of(token.as_bytes()).to_string()
}
