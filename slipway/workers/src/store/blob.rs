//! Which account keeps which blob, and how much that is together.
//!
//! Blobs are shared on the disk and counted for each account that keeps them.
//!
//! INVARIANT (kept-blobs): a blob that any version needs has a row of its account; a file without a row may be removed.

use std::collections::BTreeSet;

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};

/// Writes down that the account keeps these blobs as of now, new or not; answers how many bytes it keeps then.
pub fn keep(tx: &mut Tx<'_>, account: &CloudAccountId, blobs: &[(Sha256Digest, i64)], now: Timestamp) -> Result<i64, DbError> {
    let upsert = "insert into worker_blob (account, sha256, bytes, touched_at) values ($1, $2, $3, $4)
                  on conflict (account, sha256) do update set touched_at = excluded.touched_at";
    for (sha256, bytes) in blobs {
        tx.execute(upsert, params![account, sha256, bytes, now])?;
    }
    bytes(tx, account)
}

/// How many bytes the account keeps.
pub fn bytes(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    // the sum of integers is a decimal on one engine
    let sum = "select cast(coalesce(sum(bytes), 0) as bigint) as n from worker_blob where account = $1";
    tx.query_one(sum, params![account])?.get("n")
}

/// All blobs of the account.
pub fn kept(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<BTreeSet<Sha256Digest>, DbError> {
    let rows = tx.query("select sha256 from worker_blob where account = $1", params![account])?;
    rows.iter().map(|row| row.get("sha256")).collect()
}

/// The account's blobs that were last spoken of before `cutoff`.
pub fn untouched(tx: &mut Tx<'_>, account: &CloudAccountId, cutoff: Timestamp) -> Result<BTreeSet<Sha256Digest>, DbError> {
    let rows = tx.query("select sha256 from worker_blob where account = $1 and touched_at < $2", params![account, cutoff])?;
    rows.iter().map(|row| row.get("sha256")).collect()
}

/// Lets go of a blob, unless it was spoken of since `cutoff`, and of the hashes that stand for it.
pub fn let_go(tx: &mut Tx<'_>, account: &CloudAccountId, sha256: &Sha256Digest, cutoff: Timestamp) -> Result<bool, DbError> {
    let delete = "delete from worker_blob where account = $1 and sha256 = $2 and touched_at < $3";
    if tx.execute(delete, params![account, sha256, cutoff])? == 0 {
        return Ok(false);
    }
    tx.execute("delete from worker_asset where account = $1 and sha256 = $2", params![account, sha256])?;
    Ok(true)
}

/// Whether any account keeps it.
pub fn is_kept(tx: &mut Tx<'_>, sha256: &Sha256Digest) -> Result<bool, DbError> {
    Ok(tx.query_opt("select account from worker_blob where sha256 = $1 limit 1", params![sha256])?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;
    use purser_values::Env;

    #[tokio::test]
    async fn a_blob_counts_once_for_each_account_and_goes_when_nobody_spoke_of_it_for_a_while() {
        purser_db::testing::each_engine(&[MIGRATIONS], |db| async move {
            let (env, clock) = Env::test(purser_db::testing::START, 5);
            let (one, two) = (CloudAccountId::mint(&env), CloudAccountId::mint(&env));
            let (a, b) = (Sha256Digest::of(b"a"), Sha256Digest::of(b"b"));
            let first = env.now();
            clock.advance_secs(60);
            let later = env.now();
            db.write(move |tx| {
                assert_eq!(keep(tx, &one, &[(a, 10), (b, 5), (a, 10)], first)?, 15);
                assert_eq!(keep(tx, &two, &[(a, 10)], first)?, 10);
                assert_eq!(keep(tx, &one, &[(b, 5)], later)?, 15);
                assert_eq!(untouched(tx, &one, later)?, BTreeSet::from([a]));
                assert!(let_go(tx, &one, &a, later)?);
                assert!(!let_go(tx, &one, &b, later)?, "it was spoken of since");
                assert!(is_kept(tx, &a)?, "another account keeps it");
                assert!(let_go(tx, &two, &a, later)? && !is_kept(tx, &a)? && is_kept(tx, &b)?);
                assert_eq!(keep(tx, &one, &[], later)?, 5);
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
