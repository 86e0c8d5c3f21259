//! Idempotency keys: a repeated change has one effect and gets the first answer.
//!
//! A key belongs to a scope (an account, a caller) and is bound to the digest of the request that used it first. Reserve the
//! key in the same write as the change, and store the answer in the write that knows it.

use purser_values::{Sha256Digest, Timestamp};

use crate::error::DbError;
use crate::params;
use crate::tx::Tx;

pub(crate) const TABLE: &str = "create table idempotency (
    scope {text} not null, idempotency_key {text} not null, request {text} not null,
    answer {text}, created_at {int} not null,
    primary key (scope, idempotency_key)
){strict}";

/// What a key is worth to the request that brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The first request with this key: go on.
    Fresh,
    /// The same request is under way, or stopped half-way; nothing is known yet.
    Unfinished,
    /// The same request was answered: give this answer again.
    Answered(String),
    /// Another request used this key: refuse.
    Mismatch,
}

/// Takes the key for the request, or tells what became of the request that has it.
///
/// # Errors
/// When the store fails.
pub fn reserve(tx: &mut Tx<'_>, scope: &str, key: &str, request: &Sha256Digest, now: Timestamp) -> Result<Reservation, DbError> {
    let insert = "insert into idempotency (scope, idempotency_key, request, created_at) values ($1, $2, $3, $4)
                  on conflict (scope, idempotency_key) do nothing";
    if tx.execute(insert, params![scope, key, request, now])? == 1 {
        return Ok(Reservation::Fresh);
    }
    let select = "select request, answer from idempotency where scope = $1 and idempotency_key = $2";
    let row = tx.query_one(select, params![scope, key])?;
    if row.get::<Sha256Digest>("request")? != *request {
        return Ok(Reservation::Mismatch);
    }
    Ok(row.get::<Option<String>>("answer")?.map_or(Reservation::Unfinished, Reservation::Answered))
}

/// Keeps the answer for repeats. The first answer stands.
///
/// # Errors
/// When the store fails.
pub fn answer(tx: &mut Tx<'_>, scope: &str, key: &str, answer: &str) -> Result<(), DbError> {
    let update = "update idempotency set answer = $3 where scope = $1 and idempotency_key = $2 and answer is null";
    tx.execute(update, params![scope, key, answer]).map(drop)
}

/// Gives the key back after a failure that had no effect, so that the same key may try again.
///
/// # Errors
/// When the store fails.
pub fn release(tx: &mut Tx<'_>, scope: &str, key: &str) -> Result<(), DbError> {
    let delete = "delete from idempotency where scope = $1 and idempotency_key = $2 and answer is null";
    tx.execute(delete, params![scope, key]).map(drop)
}

/// Forgets keys that are older than this moment.
///
/// # Errors
/// When the store fails.
pub fn forget(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from idempotency where created_at < $1", params![before])
}
