//! Giving entries their number and their place in the chain.

use purser_db::{DbError, Tx, params, values};
use purser_values::Sha256Digest;

use crate::entry::genesis;
use crate::run;

/// Runs chained in one write.
const BATCH: i64 = 512;

/// The last entry of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub hash: Sha256Digest,
}

pub fn head(tx: &mut Tx<'_>) -> Result<Head, DbError> {
    let sql = "select seq, hashes from audit_event where seq is not null order by seq desc limit 1";
    match tx.query_opt(sql, params![])? {
        Some(row) => Ok(Head { seq: row.get("seq")?, hash: run::last_hash(&row)? }),
        None => Ok(Head { seq: 0, hash: genesis() }),
    }
}

/// The number of the last entry; 0 while there is none.
///
/// # Errors
/// When the store fails.
pub fn head_number(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    Ok(head(tx)?.seq)
}

/// PostgreSQL only: chains the entries that have no number yet, oldest first, and gives the new head.
pub fn extend(tx: &mut Tx<'_>) -> Result<Head, DbError> {
    // INVARIANT (one-sequencer): whichever node holds this lock chains; the others wait for its commit.
    tx.query("select 1 as one from pg_advisory_xact_lock(727374)", params![])?;
    let mut head = head(tx)?;
    let rows = tx.query("select id, body from audit_event where seq is null order by at, id limit $1", params![BATCH])?;
    let mut chained = Vec::with_capacity(rows.len());
    for row in rows {
        let hashes = run::chain(&mut head, &row.get::<String>("body")?);
        chained.push(values![row.get::<String>("id")?, head.seq, hashes]);
    }
    let sql = "update audit_event set seq = r.c2, hashes = r.c3 from {rows:text,int,text} where audit_event.id = r.c1";
    tx.execute_rows(sql, &chained)?;
    Ok(head)
}
