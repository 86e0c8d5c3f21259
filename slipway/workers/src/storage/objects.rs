//! What Durable Objects keep. workerd writes their files itself, so nobody is asked before they grow: it is looked every minute how large
//! they are, and that counts as storage from then on. One object's file is bounded by the jail.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Weak};

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::limits;
use crate::store::object;
use crate::workers::{Inner, Workers};

/// Bytes of the blocks that `st_blocks` counts (stat(2)).
const BLOCK: u64 = 512;

impl Workers {
    /// Looks how much every account's Durable Objects keep, and writes it down.
    ///
    /// # Errors
    /// When the disk or the store fails.
    pub async fn objects_measure(&self) -> Result<(), WorkersError> {
        measure(&self.0).await
    }
}

/// Measures now and then, until the service is dropped.
pub(crate) async fn follow(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(limits::OBJECTS_LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(e) = measure(&inner).await {
            tracing::error!(error = %e, "how much Durable Objects keep is not known at present");
        }
    }
}

async fn measure(inner: &Arc<Inner>) -> Result<(), WorkersError> {
    let folder = inner.objects.clone();
    let found = tokio::task::spawn_blocking(move || by_account(&folder)).await.map_err(WorkersError::internal)??;
    Ok(inner.db.write(move |tx| object::measured(tx, &found)).await?)
}

/// Folders are called by their account, and `.ENVIRONMENT` where it is one of several.
fn by_account(folder: &Path) -> io::Result<Vec<(CloudAccountId, i64)>> {
    let mut found: BTreeMap<CloudAccountId, i64> = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(account) = name.split('.').next().unwrap_or_default().parse::<CloudAccountId>() else { continue };
        let bytes = i64::try_from(size(&entry.path())?).unwrap_or(i64::MAX);
        let sum = found.entry(account).or_default();
        *sum = sum.saturating_add(bytes);
    }
    Ok(found.into_iter().collect())
}

/// What a folder takes on the disk. Files come and go meanwhile.
fn size(folder: &Path) -> io::Result<u64> {
    let (mut bytes, mut left) = (0_u64, vec![folder.to_owned()]);
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
                Ok(found) => bytes = bytes.saturating_add(found.blocks().saturating_mul(BLOCK)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(bytes)
}
