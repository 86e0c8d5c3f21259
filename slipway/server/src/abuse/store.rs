//! Reports of strangers and what detectors held back. What a report says is sealed: it may name people.

use purser_db::{DbError, Migrations, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::{acts, incident};

/// The tables of the abuse desk.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "abuse",
    steps: &[
        "
create table abuse_report (
    reference {text} primary key, received_at {int} not null, peer {text} not null, kind {text} not null, host {text} not null,
    digest {text} not null unique, sealed {blob} not null
){strict};
create index abuse_report_by_peer on abuse_report (peer, received_at);
create index abuse_report_by_time on abuse_report (received_at);
create table abuse_review (
    reference {text} primary key, account {text} not null, what {text} not null, subject {text} not null, words {text} not null,
    created_at {int} not null, cleared_at {int}, unique (account, what, subject)
){strict};
",
        acts::TABLE,
        incident::TABLE,
    ],
};

/// A report as it is kept.
#[derive(Debug, Clone)]
pub struct Report {
    pub reference: String,
    pub received_at: Timestamp,
    /// Digest of the address that sent it, under our key.
    pub peer: String,
    pub kind: String,
    /// The host that it is about.
    pub host: String,
    /// Of what was reported: the same again is the same report.
    pub digest: String,
    pub sealed: Vec<u8>,
}

/// Keeps a report; the reference of the first one that said the same.
pub fn report_put(tx: &mut Tx<'_>, report: &Report) -> Result<String, DbError> {
    let insert = "insert into abuse_report (reference, received_at, peer, kind, host, digest, sealed) values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (digest) do nothing";
    let r = report;
    tx.execute(insert, params![r.reference, r.received_at, r.peer, r.kind, r.host, r.digest, r.sealed])?;
    tx.query_one("select reference from abuse_report where digest = $1", params![r.digest])?.get("reference")
}

/// Reports since a moment: of one peer, and of all.
pub fn report_counts(tx: &mut Tx<'_>, peer: &str, since: Timestamp) -> Result<(i64, i64), DbError> {
    let of_peer =
        tx.query_one("select count(*) as n from abuse_report where peer = $1 and received_at > $2", params![peer, since])?.get("n")?;
    Ok((of_peer, tx.query_one("select count(*) as n from abuse_report where received_at > $1", params![since])?.get("n")?))
}

/// The newest reports.
pub fn reports(tx: &mut Tx<'_>, most: u32) -> Result<Vec<Report>, DbError> {
    tx.query("select * from abuse_report order by received_at desc, reference limit $1", params![most])?.iter().map(read_report).collect()
}

fn read_report(row: &Row) -> Result<Report, DbError> {
    Ok(Report {
        reference: row.get("reference")?,
        received_at: row.get("received_at")?,
        peer: row.get("peer")?,
        kind: row.get("kind")?,
        host: row.get("host")?,
        digest: row.get("digest")?,
        sealed: row.get("sealed")?,
    })
}

/// Something that waits for a person's look.
#[derive(Debug, Clone)]
pub struct Review {
    pub reference: String,
    pub account: String,
    /// `domain`, `host`, `code`, `asset`, or `pace` for too many acts.
    pub what: String,
    /// The name, the digest of the code or file, or the kind of act and its day.
    pub subject: String,
    pub words: String,
    pub created_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
}

/// Writes down that something is held; the one that is there already, cleared or not.
pub fn review_put(tx: &mut Tx<'_>, new: &Review) -> Result<Review, DbError> {
    let insert = "insert into abuse_review (reference, account, what, subject, words, created_at) values ($1, $2, $3, $4, $5, $6)
        on conflict (account, what, subject) do nothing";
    tx.execute(insert, params![new.reference, new.account, new.what, new.subject, new.words, new.created_at])?;
    let select = "select * from abuse_review where account = $1 and what = $2 and subject = $3";
    read_review(&tx.query_one(select, params![new.account, new.what, new.subject])?)
}

/// Whether there was one to clear.
pub fn review_clear(tx: &mut Tx<'_>, reference: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql = "update abuse_review set cleared_at = $2 where reference = $1 and cleared_at is null";
    Ok(tx.execute(sql, params![reference, now])? == 1)
}

/// Whether the operator let it pass.
pub fn is_cleared(tx: &mut Tx<'_>, account: &CloudAccountId, what: &str, subject: &str) -> Result<bool, DbError> {
    let select = "select 1 as one from abuse_review where account = $1 and what = $2 and subject = $3 and cleared_at is not null";
    Ok(tx.query_opt(select, params![account, what, subject])?.is_some())
}

/// What is held at present.
pub fn reviews(tx: &mut Tx<'_>) -> Result<Vec<Review>, DbError> {
    tx.query("select * from abuse_review where cleared_at is null order by created_at, reference", params![])?
        .iter()
        .map(read_review)
        .collect()
}

fn read_review(row: &Row) -> Result<Review, DbError> {
    Ok(Review {
        reference: row.get("reference")?,
        account: row.get("account")?,
        what: row.get("what")?,
        subject: row.get("subject")?,
        words: row.get("words")?,
        created_at: row.get("created_at")?,
        cleared_at: row.get("cleared_at")?,
    })
}
