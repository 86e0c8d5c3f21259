//! Objects as files of this machine.
//!
//! An object is written to a temporary file, flushed to the disk, renamed to its key, and its folders flushed, before `put` answers.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use purser_values::Env;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{Key, Objects, Pending};
use crate::body::Chunks;

/// Bytes that are read or written at once.
const PIECE: usize = 128 * 1024;
/// What files that are not finished are called.
const UNFINISHED: &str = "new-";

/// A folder of objects.
#[derive(Clone, Debug)]
pub struct LocalObjects {
    folder: Arc<Path>,
    env: Env,
}

impl LocalObjects {
    /// Opens the folder and removes what a crash left half written.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path, env: Env) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder: folder.into(), env })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.as_str())
    }

    async fn write(&self, path: PathBuf, mut chunks: Chunks) -> io::Result<u64> {
        let new = self.folder.join(format!("{UNFINISHED}{}", hex::encode(self.env.bytes::<12>())));
        let (file, length) = {
            let unfinished = Unfinished(Some(new.clone()));
            let at = new.clone();
            let mut file = blocking(move || File::create_new(at)).await?;
            let mut length = 0_u64;
            while let Some(piece) = chunks.next().await {
                let piece: Bytes = piece?;
                length += piece.len() as u64;
                file = blocking(move || file.write_all(&piece).map(|()| file)).await?;
            }
            unfinished.keep();
            (file, length)
        };
        let root = self.folder.clone();
        blocking(move || finish(&root, &file, &new, &path).inspect_err(|_| drop(fs::remove_file(&new)))).await?;
        Ok(length)
    }
}

/// Makes a written file an object.
fn finish(root: &Path, file: &File, new: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    let parent = path.parent().unwrap_or(root);
    let mut made = Vec::new();
    let mut missing = parent;
    while !missing.exists() {
        made.push(missing.parent().unwrap_or(root).to_owned());
        missing = missing.parent().unwrap_or(root);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    fs::rename(new, path)?;
    File::open(parent)?.sync_all()?;
    made.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

impl Objects for LocalObjects {
    fn put(&self, key: &Key, chunks: Chunks) -> Pending<'_, u64> {
        let path = self.path(key);
        Box::pin(self.write(path, chunks))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Pending<'_, Option<Chunks>> {
        let path = self.path(key);
        Box::pin(async move {
            let mut file = match tokio::fs::File::open(path).await {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            };
            let Some(range) = range else { return Ok(Some(ReaderStream::with_capacity(file, PIECE).boxed())) };
            file.seek(io::SeekFrom::Start(range.start)).await?;
            let part = file.take(range.end.saturating_sub(range.start));
            Ok(Some(ReaderStream::with_capacity(part, PIECE).boxed()))
        })
    }

    fn delete(&self, key: &Key) -> Pending<'_, ()> {
        let path = self.path(key);
        Box::pin(async move {
            match tokio::fs::remove_file(path).await {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            }
        })
    }

    fn list(&self, folder: &str) -> Pending<'_, Vec<(Key, u64)>> {
        let (root, at) = (self.folder.clone(), self.folder.join(folder));
        Box::pin(blocking(move || {
            let (mut found, mut open) = (Vec::new(), vec![at]);
            while let Some(folder) = open.pop() {
                let entries = match fs::read_dir(&folder) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    entries => entries?,
                };
                for entry in entries {
                    let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
                    let entry = entry?;
                    if entry.is_dir() {
                        open.push(path);
                    } else if let Some(key) = path.strip_prefix(&root).ok().and_then(|p| p.to_str()?.parse().ok()) {
                        found.push((key, entry.len()));
                    }
                }
            }
            Ok(found)
        }))
    }
}

/// A file that is removed unless it was finished: also when whoever waits for it goes away.
struct Unfinished(Option<PathBuf>);

impl Unfinished {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // what stays is removed at the next start
            let _ = fs::remove_file(path);
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
