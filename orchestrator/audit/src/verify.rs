//! Checking the whole log without trusting the database. The time it takes grows with the log and no faster.

mod mentions;

use std::path::Path;

use purser_authority::Event;
use purser_db::{Db, DbConfig, DbError, Row, Tx, params};
use purser_values::Sha256Digest;
use purser_values::error::{Kind, PublicError};
use purser_values::id::OrganisationId;
use serde::Serialize;

use crate::checkpoint::{Checkpoint, Folder};
use crate::entry::{Entry, chain_hash, genesis};
use crate::run;

use self::mentions::Mentions;

/// Runs read at once.
const PAGE: i64 = 200;
const COLUMN: &str = "a column differs from its text";

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries whose place, text and hash are right.
    pub entries: i64,
    /// The hash of the last one.
    pub head: Sha256Digest,
    /// Grants in it that a person signed with a passkey; each signature holds.
    pub signed_by_persons: i64,
    /// The number up to which the signed checkpoint vouches that nothing was cut.
    pub checkpoint: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("entry {seq} (`{id}`) was changed: {what}")]
    Changed { seq: i64, id: String, what: &'static str },
    #[error("the person's signature in entry {seq} (`{id}`) does not hold: {why}")]
    Signature { seq: i64, id: String, why: String },
    #[error("entry {seq} is missing")]
    Missing { seq: i64 },
    #[error("the tail was cut: the log ends at entry {last}, the signed checkpoint has seen entry {checkpoint}")]
    Cut { last: i64, checkpoint: i64 },
    #[error("the log differs from the signed checkpoint at entry {seq}")]
    Forked { seq: i64 },
    #[error("the checkpoint is missing or not signed by the log's key: {0}")]
    Checkpoint(String),
    #[error("there is no log: {0}")]
    Absent(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for VerifyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "audit_entry_changed",
            Self::Signature { .. } => "audit_signature_broken",
            Self::Missing { .. } => "audit_entry_missing",
            Self::Cut { .. } => "audit_tail_cut",
            Self::Forked { .. } => "audit_log_forked",
            Self::Checkpoint(_) => "audit_checkpoint_unusable",
            Self::Absent(_) => "audit_log_absent",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Absent(_) => Kind::NotFound,
            Self::Store(e) => e.kind(),
            _ => Kind::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Absent(_) => Some("name the data folder with `--data DIR`".to_owned()),
            Self::Store(_) => None,
            _ => Some("keep the files as they are, they are evidence; compare with a backup".to_owned()),
        }
    }
}

/// Checks the log of a data folder while nothing else need run.
///
/// # Errors
/// The first entry that is not as it was written, or why the log cannot be read.
pub async fn verify_offline(data: &Path, check: SignatureCheck) -> Result<Report, VerifyError> {
    verify_files(&data.join("purser.db"), &data.join("audit"), check).await
}

/// The same where the database and the folder of the checkpoint lie apart.
///
/// # Errors
/// As [`verify_offline`].
pub async fn verify_files(database: &Path, audit: &Path, check: SignatureCheck) -> Result<Report, VerifyError> {
    if !database.is_file() {
        return Err(VerifyError::Absent(format!("`{}` does not exist", database.display())));
    }
    // The checkpoint is read first: entries that are added meanwhile lie behind it and do no harm.
    let checkpoint = read_checkpoint(audit)?;
    let db = Db::open(&DbConfig::Sqlite { path: database.to_owned() }).await?;
    db.read(move |tx| verify_with(tx, Some(&checkpoint), check)).await
}

/// The same of a database that is open, which may be one that is served.
///
/// # Errors
/// As [`verify_offline`].
pub async fn verify_store(db: &Db, audit: &Path, check: SignatureCheck) -> Result<Report, VerifyError> {
    let checkpoint = read_checkpoint(audit)?;
    db.read(move |tx| verify_with(tx, Some(&checkpoint), check)).await
}

/// The signed checkpoint of a folder.
///
/// # Errors
/// When it is missing, or not signed by a key beside it.
pub fn read_checkpoint(audit: &Path) -> Result<Checkpoint, VerifyError> {
    let folder = Folder(audit.to_owned());
    let checkpoint = folder.read_keys().and_then(|keys| folder.read(|kid| keys.find(kid)));
    let checkpoint = checkpoint.map_err(|e| VerifyError::Checkpoint(e.to_string()))?;
    checkpoint.ok_or_else(|| VerifyError::Checkpoint("the file does not exist".to_owned()))
}

/// Checks every entry's number, text, columns and hash, and the end against the checkpoint.
///
/// # Errors
/// As [`verify_offline`].
pub fn verify(tx: &mut Tx<'_>, checkpoint: Option<&Checkpoint>) -> Result<Report, VerifyError> {
    verify_with(tx, checkpoint, |_| Ok(false))
}

/// Looks for a person's signature in an event, and checks it; tells whether there is one, or what is wrong. Those who write the
/// signature know how, and this crate need not.
pub type SignatureCheck = fn(&Event) -> Result<bool, String>;

/// [`verify`], with persons' signatures.
///
/// # Errors
/// As [`verify_offline`].
pub fn verify_with(tx: &mut Tx<'_>, checkpoint: Option<&Checkpoint>, check: SignatureCheck) -> Result<Report, VerifyError> {
    let (mut last, mut head, mut signed, mut mentioned) = (0_i64, genesis(), 0_i64, 0_i64);
    loop {
        let sql = "select id, seq, entries, at, organisation, hashes, body from audit_event where seq > $1 order by seq limit $2";
        let rows = tx.query(sql, params![last, PAGE])?;
        if rows.is_empty() {
            break;
        }
        let mut mentions = Mentions::default();
        for row in rows {
            let mut keys = mentions.of_run(row.get("id")?);
            for (seq, hash, entry) in check_run(&row, last, &head)? {
                keys.add(seq, &entry);
                (last, head) = (seq, hash);
                let found = check(&entry.event).map_err(|why| VerifyError::Signature { seq, id: entry.id.to_string(), why })?;
                signed += i64::from(found);
                if checkpoint.is_some_and(|c| c.seq == seq && c.hash != head) {
                    return Err(VerifyError::Forked { seq });
                }
            }
            keys.end();
        }
        mentioned += mentions.check(tx)?;
    }
    mentions::none_beside(tx, mentioned, last)?;
    check_strays(tx)?;
    match checkpoint {
        Some(checkpoint) if checkpoint.seq > last => Err(VerifyError::Cut { last, checkpoint: checkpoint.seq }),
        _ => Ok(Report { entries: last, head, signed_by_persons: signed, checkpoint: checkpoint.map(|c| c.seq) }),
    }
}

/// The entries of the row that follows the entry `last`, each with its number and its hash.
fn check_run(row: &Row, last: i64, previous: &Sha256Digest) -> Result<Vec<(i64, Sha256Digest, Entry)>, VerifyError> {
    let (first, id): (i64, String) = (last + 1, row.get("id")?);
    let of_row = |what| VerifyError::Changed { seq: first, id: id.clone(), what };
    let body: String = row.get("body").map_err(|_| of_row("its text is gone"))?;
    let texts: Vec<&str> = run::texts(&body).collect();
    if row.get("entries").ok() != i64::try_from(texts.len()).ok() {
        return Err(of_row(COLUMN));
    }
    if run::first_number(row)? != first {
        return Err(VerifyError::Missing { seq: first });
    }
    let organisation: Option<String> = row.get("organisation")?;
    let hashes: String = row.get::<Option<String>>("hashes")?.unwrap_or_default();
    let (mut checked, mut head) = (Vec::with_capacity(texts.len()), *previous);
    for (place, (seq, text)) in (first..).zip(texts).enumerate() {
        head = chain_hash(&head, seq, text);
        let entry = serde_json::from_str::<Entry>(text);
        if run::hash_at(&hashes, place) != Some(head) {
            let id = entry.map_or_else(|_| id.clone(), |entry| entry.id.to_string());
            return Err(VerifyError::Changed { seq, id, what: "its hash does not match its text and the entry before it" });
        }
        let entry = entry.map_err(|_| of_row("its text is not an entry"))?;
        if entry.event.organisation.as_ref().map(OrganisationId::as_str) != organisation.as_deref() {
            return Err(VerifyError::Changed { seq, id: entry.id.to_string(), what: COLUMN });
        }
        checked.push((seq, head, entry));
    }
    let begins_so = checked.first().is_some_and(|(.., entry)| entry.id.as_str() == id && row.get("at").ok() == Some(entry.at));
    if begins_so && hashes.len() == checked.len() * run::HASH { Ok(checked) } else { Err(of_row(COLUMN)) }
}

/// An entry whose number was taken away would otherwise be skipped in silence; on SQLite none waits for its number.
fn check_strays(tx: &mut Tx<'_>) -> Result<(), VerifyError> {
    if tx.engine() != purser_db::Engine::Sqlite {
        return Ok(());
    }
    match tx.query_opt("select id from audit_event where seq is null or seq < 1 limit 1", params![])? {
        Some(row) => Err(VerifyError::Changed { seq: 0, id: row.get("id")?, what: "it has lost its number" }),
        None => Ok(()),
    }
}
