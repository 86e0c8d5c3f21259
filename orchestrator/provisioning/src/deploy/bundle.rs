//! What is deployed: files by their digests, kept on disk until the provider has them.
//!
//! A deployment outlives the request that brought it, so the bytes are written (content-addressed, durable) before the saga
//! that sends them begins, and removed when it ends.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use purser_http::places::Places;
use purser_values::Sha256Digest;
use purser_values::id::OrganisationId;
use purser_wire::code::Part;
use serde::{Deserialize, Serialize};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};

/// Most files in one deployment, and the longest path of one in bytes.
pub const FILES: usize = 20_000;
pub const PATH_BYTES: usize = 512;

/// Whether a file is run or served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    Module,
    Asset,
}

/// One file of a deployment, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub kind: FileKind,
    /// A module's name, or an asset's absolute path on the site.
    pub path: String,
    pub digest: Sha256Digest,
    pub size: u64,
    pub content_type: String,
}

/// Uploads that are taken in at once, each of which may hold the whole of it in memory; and those of one organisation.
const TURNS: usize = 8;
const TURNS_EACH: usize = 2;

/// The folder that holds the bytes on their way.
#[derive(Clone, Debug)]
pub struct Bundles(PathBuf, Arc<Places<OrganisationId>>);

impl Bundles {
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder, Arc::new(Places::new(TURNS, TURNS_EACH))))
    }

    /// Waits for a place among the uploads that are taken in at once; it is free again when the permits are dropped.
    ///
    /// # Errors
    /// Never: the places are not closed.
    pub async fn turn(&self, organisation: &OrganisationId) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        self.1.take(organisation).await
    }

    /// Removes what a crash left: the folders that are not among those still needed.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keep_only(&self, needed: &BTreeSet<String>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, deployment: &str, digest: &Sha256Digest) -> PathBuf {
        self.0.join(deployment).join(digest.to_string())
    }

    /// Keeps the files of a deployment durably.
    ///
    /// # Errors
    /// When the disk refuses; nothing of the deployment is left then.
    pub async fn put(&self, deployment: &str, files: Vec<(FileEntry, Bytes)>) -> io::Result<()> {
        let folder = self.0.join(deployment);
        let written = tokio::task::spawn_blocking(move || {
            let outcome = write_all(&folder, &files);
            if outcome.is_err() {
                let _ = std::fs::remove_dir_all(&folder);
            }
            outcome
        });
        written.await.map_err(io::Error::other)?
    }

    /// # Errors
    /// When the file is gone or does not have its digest any more.
    pub async fn get(&self, deployment: &str, digest: &Sha256Digest) -> io::Result<Bytes> {
        let bytes = Bytes::from(tokio::fs::read(self.path(deployment, digest)).await?);
        if Sha256Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(io::Error::other("a kept file changed")) }
    }

    /// Forgets a deployment's bytes; what is not there needs no forgetting.
    pub async fn forget(&self, deployment: &str) {
        if let Err(e) = tokio::fs::remove_dir_all(self.0.join(deployment)).await
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(deployment, error = %e, "the files of a finished deployment were not removed");
        }
    }
}

fn write_all(folder: &Path, files: &[(FileEntry, Bytes)]) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::create_dir_all(folder)?;
    for (entry, bytes) in files {
        let mut file = std::fs::File::create(folder.join(entry.digest.to_string()))?;
        file.write_all(bytes)?;
        file.sync_data()?;
    }
    std::fs::File::open(folder)?.sync_all()
}

/// The digest by which both sides know this code.
#[must_use]
pub fn code_digest(main: Option<&str>, files: &[FileEntry]) -> Sha256Digest {
    let parts: Vec<Part> = files
        .iter()
        .map(|file| match file.kind {
            FileKind::Module => Part::Module { name: file.path.clone(), digest: file.digest },
            FileKind::Asset => Part::Asset { path: file.path.clone(), digest: file.digest },
        })
        .collect();
    purser_wire::code::digest(main, &parts)
}

/// A path that stays where it is put: relative, no `..`, no empty part, no control character or backslash.
#[must_use]
pub fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= PATH_BYTES
        && !path.chars().any(|c| c.is_control() || matches!(c, '\\' | '"'))
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_site() {
        for good in ["index.html", "a/b.js", "a b/ü.txt", "..a/b.."] {
            assert!(is_safe_path(good), "`{good}` was refused");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\\b", "a\nb", "a\"b", "."] {
            assert!(!is_safe_path(bad), "`{bad}` was taken");
        }
    }

    #[tokio::test]
    async fn what_was_kept_comes_back_and_a_changed_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let bundles = Bundles::open(folder.path().join("bundles")).unwrap();
        let bytes = Bytes::from_static(b"export default {}");
        let digest = Sha256Digest::of(&bytes);
        let entry = FileEntry {
            kind: FileKind::Module,
            path: "index.js".into(),
            digest,
            size: 17,
            content_type: "application/javascript+module".into(),
        };
        bundles.put("dpl_1", vec![(entry, bytes.clone())]).await.unwrap();
        assert_eq!(bundles.get("dpl_1", &digest).await.unwrap(), bytes);
        std::fs::write(bundles.path("dpl_1", &digest), b"evil").unwrap();
        assert!(bundles.get("dpl_1", &digest).await.is_err());
        bundles.forget("dpl_1").await;
        bundles.forget("dpl_1").await;
        assert!(bundles.get("dpl_1", &digest).await.is_err());
    }

    #[tokio::test]
    async fn uploads_of_one_organisation_keep_no_other_from_deploying() {
        let (env, _) = purser_values::Env::test(purser_values::Timestamp::EPOCH, 1);
        let (one, two) = (OrganisationId::mint(&env), OrganisationId::mint(&env));
        let folder = tempfile::tempdir().unwrap();
        let bundles = Bundles::open(folder.path().join("bundles")).unwrap();
        let held = (bundles.turn(&one).await.unwrap(), bundles.turn(&one).await.unwrap());
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, bundles.turn(&one)).await.is_err(), "one organisation took more than its places");
        assert!(tokio::time::timeout(soon, bundles.turn(&two)).await.is_ok());
        drop(held);
        assert!(tokio::time::timeout(soon, bundles.turn(&one)).await.is_ok());
    }
}
