//! What an account keeps on our disk: counted before it is written, and removed when no version needs it any more.
//!
//! INVARIANT (kept-blobs): the row that says who keeps a blob is committed before its file is written; a file is removed only when no row names it,
//! and never while something is being written.

pub mod objects;

use std::collections::BTreeSet;

use bytes::Bytes;
use purser_db::{DbError, Tx};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};

use crate::error::WorkersError;
use crate::limits;
use crate::store::{account, blob, object, version};
use crate::workers::Workers;

/// Blobs that one write lets go of.
const BATCH: usize = 500;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that an account no longer keeps.
    pub let_go: usize,
    /// Files that no account keeps.
    pub files: usize,
}

impl Workers {
    /// Keeps blobs for the account, durably.
    ///
    /// # Errors
    /// [`WorkersError::TooLarge`] when the account would keep more than its plan's storage, here and elsewhere; nothing is written then.
    pub(crate) async fn keep_blobs(&self, account: &CloudAccountId, blobs: Vec<(Sha256Digest, Bytes)>) -> Result<(), WorkersError> {
        let _writing = self.0.files.read().await;
        let (id, now) = (account.clone(), self.0.env.now());
        let sizes: Vec<_> = blobs.iter().map(|(sha256, bytes)| (*sha256, counted(bytes.len()))).collect();
        let (most, elsewhere) = ((self.0.seams.allowances)(account).storage, self.0.seams.kept_elsewhere.clone());
        self.change(move |tx| {
            let before = blob::bytes(tx, &id)?;
            let after = blob::keep(tx, &id, &sizes, now)?;
            // what is there already costs nothing
            if after > before && after.saturating_add(object::bytes(tx, &id)?).saturating_add(elsewhere(tx, &id)?) > most {
                return Err(WorkersError::TooLarge(format!(
                    "the account's storage of {most} bytes is full; delete Workers or data that are no longer needed"
                )));
            }
            Ok(())
        })
        .await?;
        Ok(self.0.blobs.put_all(&self.0.env, blobs).await?)
    }

    /// Lets go of what no version needs any more, and removes the files that nobody keeps.
    ///
    /// # Errors
    /// When the store or the disk fails. Nothing that may still be needed was removed then.
    pub async fn blob_sweep(&self) -> Result<Swept, WorkersError> {
        let cutoff = self.0.env.now().plus_secs(-limits::BLOB_GRACE_S);
        let mut swept = Swept::default();
        for row in self.0.db.read(account::all).await? {
            swept.let_go += self.sweep_account(&row.account, cutoff).await?;
        }
        for first in 0..=u8::MAX {
            for sha256 in self.0.blobs.list(first).await? {
                // taken for each file, so that no upload waits for the whole folder
                let _alone = self.0.files.write().await;
                if !self.0.db.read(move |tx| blob::is_kept(tx, &sha256)).await? {
                    self.0.blobs.remove(&sha256).await?;
                    swept.files += 1;
                }
            }
        }
        Ok(swept)
    }

    /// The account's lock is held, so that no version is made of a blob that is just let go of.
    async fn sweep_account(&self, account: &CloudAccountId, cutoff: Timestamp) -> Result<usize, WorkersError> {
        let _lock = self.lock(account).await?;
        let needed = self.needed(account).await?;
        self.adopt(account, &needed).await?;
        let id = account.clone();
        let untouched = self.0.db.read(move |tx| blob::untouched(tx, &id, cutoff)).await?;
        let over: Vec<Sha256Digest> = untouched.difference(&needed).copied().collect();
        let mut let_go = 0;
        for some in over.chunks(BATCH) {
            let (id, some) = (account.clone(), some.to_vec());
            let gone = self.0.db.write(move |tx| {
                some.iter().try_fold(0, |gone, sha256| Ok::<_, WorkersError>(gone + usize::from(blob::let_go(tx, &id, sha256, cutoff)?)))
            });
            let_go += gone.await?;
        }
        Ok(let_go)
    }

    /// Every blob of every version that is kept.
    async fn needed(&self, account: &CloudAccountId) -> Result<BTreeSet<Sha256Digest>, WorkersError> {
        let id = account.clone();
        let (mut needed, lists) = self.0.db.read(move |tx| version::blobs(tx, &id)).await?;
        for list in lists {
            needed.extend(self.asset_set(&list).await?.files.values().map(|asset| asset.sha256));
            needed.insert(list);
        }
        Ok(needed)
    }

    /// Counts what was stored before anybody counted.
    async fn adopt(&self, account: &CloudAccountId, needed: &BTreeSet<Sha256Digest>) -> Result<(), WorkersError> {
        let id = account.clone();
        let kept = self.0.db.read(move |tx| blob::kept(tx, &id)).await?;
        let mut found = Vec::new();
        for sha256 in needed.difference(&kept) {
            found.push((*sha256, counted(self.0.blobs.size(sha256).await?)));
        }
        if found.is_empty() {
            return Ok(());
        }
        let (id, now) = (account.clone(), self.0.env.now());
        self.0.db.write(move |tx| blob::keep(tx, &id, &found, now)).await?;
        Ok(())
    }
}

/// What an account keeps in this room, in bytes: code, assets, and what its Durable Objects kept when it was last looked.
///
/// # Errors
/// When the store fails.
pub fn kept(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    Ok(blob::bytes(tx, account)?.saturating_add(object::bytes(tx, account)?))
}

/// What a blob counts as: also the smallest takes a block and a name on the disk.
fn counted(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).max(limits::BLOB_LEAST_BYTES)
}
