//! What Durable Objects keep. workerd writes their files itself, so nobody is asked before they grow: it is looked every few seconds how large
//! those are that may be growing, and every minute all of them. That counts as storage from then on, and says how large a file may become
//! from then on ([`crate::runtime::quota`]): by as much as the account has left, and not at all when it is full.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Weak};

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::limits;
use crate::storage::kept;
use crate::store::object;
use crate::workers::{Inner, Workers};

/// Bytes of the blocks that `st_blocks` counts (stat(2)).
const BLOCK: u64 = 512;
/// Everybody's objects are looked at once in so many times.
const ALL_IN: u32 = 12;

/// What an account's objects take on the disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    all: u64,
    largest: u64,
}

/// How an account's objects are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hold {
    /// The largest file that they may write, in bytes.
    file: u64,
    /// What they kept when the account's storage was first found full, in bytes.
    full_at: Option<u64>,
}

impl Workers {
    /// Looks how much every account's Durable Objects keep, writes it down, and has their growth bounded by what is left.
    ///
    /// # Errors
    /// When the disk or the store fails.
    pub async fn objects_measure(&self) -> Result<(), WorkersError> {
        measure(&self.0, None, &mut HashMap::new()).await
    }
}

/// Measures now and then, until the service is dropped.
pub(crate) async fn follow(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(limits::OBJECTS_LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut holds, mut count) = (HashMap::new(), 0_u32);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let some = if count % ALL_IN == 0 { None } else { Some(inner.runtime.awake().await) };
        count = count.wrapping_add(1);
        if let Err(e) = measure(&inner, some, &mut holds).await {
            tracing::error!(error = %e, "how much Durable Objects keep is not known at present");
        }
    }
}

/// Measures these accounts' objects, or everybody's. `holds` is what was found before.
async fn measure(
    inner: &Arc<Inner>,
    some: Option<BTreeSet<CloudAccountId>>,
    holds: &mut HashMap<CloudAccountId, Hold>,
) -> Result<(), WorkersError> {
    let (folder, everybody) = (inner.objects.clone(), some.is_none());
    let found = tokio::task::spawn_blocking(move || by_account(&folder, some.as_ref())).await.map_err(WorkersError::internal)??;
    if found.is_empty() && !everybody {
        return Ok(());
    }
    let bytes: Vec<(CloudAccountId, i64)> =
        found.iter().map(|(of, size)| (of.clone(), i64::try_from(size.all).unwrap_or(i64::MAX))).collect();
    let (elsewhere, accounts) = (inner.seams.kept_elsewhere.clone(), bytes.clone());
    let sums = inner.db.write(move |tx| -> Result<Vec<i64>, WorkersError> {
        object::measured(tx, &bytes, everybody)?;
        let sum = |(of, _): &(CloudAccountId, i64)| Ok(kept(tx, of)?.saturating_add(elsewhere(tx, of)?));
        accounts.iter().map(sum).collect()
    });
    let sums = sums.await?;
    if everybody {
        holds.retain(|account, _| found.contains_key(account));
    }
    for ((account, size), sum) in found.into_iter().zip(sums) {
        let storage = (inner.seams.allowances)(&account).storage;
        let before = holds.get(&account).and_then(|hold| hold.full_at);
        holds.insert(account, hold(size, before, storage, sum));
    }
    inner.runtime.hold_objects(holds.iter().map(|(account, hold)| (account.clone(), hold.file)).collect());
    Ok(())
}

/// How objects of this size are held in, by the account's storage and all that it keeps. `full_at` is from the look before.
fn hold(size: Size, full_at: Option<u64>, storage: i64, kept: i64) -> Hold {
    if let Ok(left @ 1..) = u64::try_from(storage.saturating_sub(kept)) {
        return Hold { file: size.largest.saturating_add(left).max(2 * limits::OBJECT_FILE_FULL), full_at: None };
    }
    // whatever made it full: what is there can be read, for which small files are written beside it
    let full_at = full_at.unwrap_or(size.all);
    let beyond = u64::try_from(storage / limits::OBJECTS_BEYOND).unwrap_or(0);
    let file = if size.all <= full_at.saturating_add(beyond) { limits::OBJECT_FILE_FULL } else { 0 };
    Hold { file, full_at: Some(full_at) }
}

/// Folders are called by their account, and `.ENVIRONMENT` where it is one of several.
fn by_account(folder: &Path, some: Option<&BTreeSet<CloudAccountId>>) -> io::Result<BTreeMap<CloudAccountId, Size>> {
    let mut found: BTreeMap<CloudAccountId, Size> = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(account) = name.split('.').next().unwrap_or_default().parse::<CloudAccountId>() else { continue };
        if some.is_some_and(|some| !some.contains(&account)) {
            continue;
        }
        let (size, sum) = (size(&entry.path())?, found.entry(account).or_default());
        *sum = Size { all: sum.all.saturating_add(size.all), largest: sum.largest.max(size.largest) };
    }
    Ok(found)
}

/// What a folder takes on the disk. Files come and go meanwhile.
fn size(folder: &Path) -> io::Result<Size> {
    let (mut size, mut left) = (Size::default(), vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            match fs::symlink_metadata(entry.path()) {
                Ok(found) if found.is_dir() => left.push(entry.path()),
                Ok(found) => {
                    size.all = size.all.saturating_add(found.blocks().saturating_mul(BLOCK));
                    size.largest = size.largest.max(found.len());
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_grows_by_what_is_left_and_not_at_all_when_nothing_is() {
        const MIB: i64 = 1 << 20;
        let size = |all: u64, largest: u64| Size { all: all << 20, largest: largest << 20 };
        assert_eq!(hold(size(40, 5), None, 100 * MIB, 40 * MIB), Hold { file: 65 << 20, full_at: None });
        assert_eq!(hold(size(1, 0), None, 100 * MIB, 100 * MIB - 1).file, 2 * limits::OBJECT_FILE_FULL);
        // also where something else than objects filled it, or a smaller plan
        let full = hold(size(90, 5), None, 10 * MIB, 200 * MIB);
        assert_eq!(full, Hold { file: limits::OBJECT_FILE_FULL, full_at: Some(90 << 20) });
        // many small ones are more than a few
        assert_eq!(hold(size(96, 5), Some(90 << 20), 100 * MIB, 200 * MIB).file, limits::OBJECT_FILE_FULL);
        assert_eq!(hold(size(97, 5), Some(90 << 20), 100 * MIB, 200 * MIB).file, 0);
        assert_eq!(hold(size(97, 5), Some(90 << 20), 300 * MIB, 200 * MIB).full_at, None);
    }
}
