//! Bytes by their SHA-256, as files: modules and assets.
//!
//! A blob is written to a temporary file, flushed to the disk, renamed to its digest, and the folder flushed, before any row
//! that names it is committed. Reading checks nothing twice: a module is digested when it is loaded, an asset is streamed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use purser_values::{Env, Sha256Digest};

/// The folder of blobs, cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Path>);

impl Blobs {
    /// Opens the folder and removes what a crash left half written.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("new-") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self(folder.into()))
    }

    /// Stores all of them durably; what is there already is not written again.
    pub async fn put_all(&self, env: &Env, blobs: Vec<(Sha256Digest, Bytes)>) -> io::Result<()> {
        let (this, env) = (self.clone(), env.clone());
        tokio::task::spawn_blocking(move || this.put_now(&env, &blobs)).await.map_err(io::Error::other)?
    }

    fn put_now(&self, env: &Env, blobs: &[(Sha256Digest, Bytes)]) -> io::Result<()> {
        let mut touched = std::collections::BTreeSet::new();
        for (digest, bytes) in blobs {
            let path = self.path(digest);
            if path.exists() {
                continue;
            }
            let folder = path.parent().unwrap_or(&self.0).to_owned();
            if !folder.exists() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
                touched.insert(self.0.to_path_buf());
            }
            let new = self.0.join(format!("new-{}", hex::encode(env.bytes::<12>())));
            let written = (|| {
                let mut file = File::create_new(&new)?;
                file.write_all(bytes)?;
                file.sync_data()?;
                fs::rename(&new, &path)
            })();
            if let Err(e) = written {
                let _ = fs::remove_file(&new);
                return Err(e);
            }
            touched.insert(folder);
        }
        touched.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// Reads a whole blob and checks that it is what its name says.
    pub async fn get(&self, digest: &Sha256Digest) -> io::Result<Bytes> {
        let bytes = tokio::fs::read(self.path(digest)).await?;
        if Sha256Digest::of(&bytes) != *digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the blob `{digest}` was changed on disk")));
        }
        Ok(bytes.into())
    }

    pub async fn open_file(&self, digest: &Sha256Digest) -> io::Result<tokio::fs::File> {
        tokio::fs::File::open(self.path(digest)).await
    }

    /// The size of a blob, in bytes.
    pub async fn size(&self, digest: &Sha256Digest) -> io::Result<usize> {
        let found = tokio::fs::metadata(self.path(digest)).await?;
        usize::try_from(found.len()).map_err(io::Error::other)
    }

    /// The blobs whose digest begins with this byte. What is not named by a digest is not ours to judge.
    pub async fn list(&self, first: u8) -> io::Result<Vec<Sha256Digest>> {
        let (folder, head) = (self.0.join(format!("{first:02x}")), format!("{first:02x}"));
        let listed = tokio::task::spawn_blocking(move || match fs::read_dir(folder) {
            Ok(files) => files.map(|file| Ok(format!("{head}{}", file?.file_name().to_string_lossy()))).collect::<io::Result<Vec<_>>>(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        });
        let names = listed.await.map_err(io::Error::other)??;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Removes a blob that nobody keeps; what is not there needs no removing.
    pub async fn remove(&self, digest: &Sha256Digest) -> io::Result<()> {
        match tokio::fs::remove_file(self.path(digest)).await {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn path(&self, digest: &Sha256Digest) -> PathBuf {
        let name = digest.to_string();
        self.0.join(&name[..2]).join(&name[2..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_comes_back_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("new-half"), b"x").unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        assert!(!folder.path().join("new-half").exists());
        let digest = Sha256Digest::of(b"abc");
        let both = vec![(digest, Bytes::from_static(b"abc")), (digest, Bytes::from_static(b"abc"))];
        blobs.put_all(&Env::system(), both).await.unwrap();
        assert_eq!(blobs.get(&digest).await.unwrap(), "abc");
        fs::write(blobs.path(&digest), b"abd").unwrap();
        assert_eq!(blobs.get(&digest).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
