//! Answers kept under idempotency keys, sealed by the caller.

use purser_db::{DbError, Tx, params};
use purser_values::{Sha256Digest, Timestamp};

/// How long an answer is kept, in seconds.
pub const LIFE_S: i64 = 24 * 3600;

/// What is known about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    New,
    /// Begun by a process that died before it answered, or under way.
    Unfinished,
    Finished {
        status: u16,
        sealed: Vec<u8>,
    },
    /// Seen with another request.
    Conflict,
}

/// # Errors
/// When the store fails.
pub fn answer_begin(tx: &mut Tx<'_>, scope: &str, key: &str, request: &Sha256Digest, now: Timestamp) -> Result<Begun, DbError> {
    let old = "delete from provisioning_answer where scope = $1 and answer_key = $2 and begun_at <= $3";
    tx.execute(old, params![scope, key, now.plus_secs(-LIFE_S)])?;
    let insert = "insert into provisioning_answer (scope, answer_key, request, begun_at) values ($1, $2, $3, $4) on conflict do nothing";
    if tx.execute(insert, params![scope, key, request, now])? == 1 {
        return Ok(Begun::New);
    }
    let row = tx.query_one("select * from provisioning_answer where scope = $1 and answer_key = $2", params![scope, key])?;
    if row.get::<Sha256Digest>("request")? != *request {
        return Ok(Begun::Conflict);
    }
    match row.get::<Option<i64>>("status")? {
        None => Ok(Begun::Unfinished),
        Some(status) => {
            let status = u16::try_from(status).map_err(|_| DbError::Corrupt("a kept status is no HTTP status".to_owned()))?;
            Ok(Begun::Finished { status, sealed: row.get("sealed")? })
        }
    }
}

/// Keeps the answer; the first one stands.
///
/// # Errors
/// When the store fails.
pub fn answer_finish(tx: &mut Tx<'_>, scope: &str, key: &str, status: u16, sealed: &[u8]) -> Result<(), DbError> {
    let update = "update provisioning_answer set status = $3, sealed = $4 where scope = $1 and answer_key = $2 and status is null";
    tx.execute(update, params![scope, key, status, sealed]).map(drop)
}

/// Forgets what is over; run now and then.
///
/// # Errors
/// When the store fails.
pub fn answer_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from provisioning_answer where begun_at <= $1", params![now.plus_secs(-LIFE_S)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioning::nonce::{nonce_sweep, nonce_use};
    use crate::store::MIGRATIONS;
    use purser_db::testing::{START, each_engine};

    #[tokio::test]
    async fn a_key_gives_its_first_answer_again_and_refuses_another_request() {
        each_engine(&[MIGRATIONS], |db| async move {
            db.write(|tx| -> Result<(), DbError> {
                let (a, b) = (Sha256Digest::of(b"a"), Sha256Digest::of(b"b"));
                assert_eq!(answer_begin(tx, "acc", "k", &a, START)?, Begun::New);
                assert_eq!(answer_begin(tx, "acc", "k", &a, START)?, Begun::Unfinished);
                assert_eq!(answer_begin(tx, "acc", "k", &b, START)?, Begun::Conflict);
                assert_eq!(answer_begin(tx, "other", "k", &b, START)?, Begun::New, "a key of another account was seen");
                answer_finish(tx, "acc", "k", 200, b"one")?;
                answer_finish(tx, "acc", "k", 500, b"two")?;
                assert_eq!(answer_begin(tx, "acc", "k", &a, START)?, Begun::Finished { status: 200, sealed: b"one".to_vec() });
                assert_eq!(answer_begin(tx, "acc", "k", &b, START.plus_secs(LIFE_S))?, Begun::New);
                assert_eq!(answer_sweep(tx, START.plus_secs(LIFE_S))?, 1);
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_nonce_is_used_once_until_it_is_over() {
        each_engine(&[MIGRATIONS], |db| async move {
            db.write(|tx| -> Result<(), DbError> {
                let (nonce, end) = (Sha256Digest::of(b"n"), START.plus_secs(60));
                assert!(nonce_use(tx, &nonce, end, START)?);
                assert!(!nonce_use(tx, &nonce, end.plus_secs(60), START)?);
                assert!(nonce_use(tx, &nonce, end.plus_secs(60), end)?);
                assert_eq!(nonce_sweep(tx, end)?, 0);
                assert_eq!(nonce_sweep(tx, end.plus_secs(60))?, 1);
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
