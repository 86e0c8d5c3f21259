//! Files that only their owner may read, written so that a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use purser_values::Env;
use purser_values::error::{Kind, PublicError};

/// Largest private file that is read, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("`{path}` cannot be {what}: {cause}")]
    Io { path: PathBuf, what: &'static str, cause: io::Error },
    #[error("others may read `{path}`")]
    Exposed { path: PathBuf },
    #[error("`{path}` belongs to another user")]
    Foreign { path: PathBuf },
    #[error("`{path}` is not what it should be: {why}")]
    Malformed { path: PathBuf, why: String },
    #[error("there is a file `{path}` already")]
    Taken { path: PathBuf },
    #[error("`{path}` is a folder, and a file is to be written")]
    Folder { path: PathBuf },
    #[error("there is no folder `{path}` to write into")]
    NoFolder { path: PathBuf },
}

impl PublicError for FileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "FILE_UNUSABLE",
            Self::Exposed { .. } => "FILE_EXPOSED",
            Self::Foreign { .. } => "FILE_FOREIGN",
            Self::Malformed { .. } => "FILE_MALFORMED",
            Self::Taken { .. } => "FILE_TAKEN",
            Self::Folder { .. } | Self::NoFolder { .. } => "FILE_PLACE",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound => Kind::NotFound,
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => Kind::Forbidden,
            Self::Io { cause, .. } if is_in_the_way(cause.kind()) => Kind::Conflict,
            Self::Io { .. } => Kind::Internal,
            Self::Exposed { .. } | Self::Foreign { .. } => Kind::Forbidden,
            Self::Malformed { .. } | Self::Folder { .. } | Self::NoFolder { .. } => Kind::Invalid,
            Self::Taken { .. } => Kind::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull => Some("free some space; nothing was changed".to_owned()),
            Self::Io { cause, .. } if is_in_the_way(cause.kind()) => Some("name another place, or move away what is there".to_owned()),
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some("choose a place that is yours, or ask its owner for the right".to_owned())
            }
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
                Some("check the path: a folder of it is missing".to_owned())
            }
            Self::Io { .. } => Some("check the path and the disk; nothing was changed".to_owned()),
            Self::Exposed { path } => Some(format!("take the others' rights away: `chmod go-rwx {}`", path.display())),
            Self::Foreign { .. } => Some("choose a folder of your own".to_owned()),
            Self::Malformed { path, .. } => Some(format!("move `{}` away and try again", path.display())),
            Self::Taken { .. } => Some("name another file, or replace it with `--force`".to_owned()),
            Self::Folder { path } => Some(format!("name a file in it: `{}/FILE`", path.display())),
            Self::NoFolder { path } => Some(format!("make it first: `mkdir -p {}`", path.display())),
        }
    }
}

/// Whether something else is where the file or folder should be.
const fn is_in_the_way(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}

/// Names the file and what was tried.
pub fn io_error(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |cause| FileError::Io { path, what, cause }
}

/// Makes a folder of mode 0700, or takes the others' rights away from one that is ours.
///
/// # Errors
/// When it cannot be made, is not a folder, or is another user's.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(path, "created"))?;
    let found = fs::metadata(path).map_err(io_error(path, "read"))?;
    if found.uid() != nix::unistd::Uid::effective().as_raw() {
        return Err(FileError::Foreign { path: path.to_owned() });
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io_error(path, "made private"))?;
    }
    Ok(())
}

/// Writes a file of mode 0600 in one step: beside it first, durable, then renamed.
///
/// # Errors
/// When the folder cannot be written; the old file is then as it was.
pub fn write_private(env: &Env, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.new", u64::from_le_bytes(env.bytes::<8>())));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside); // it may not exist; the first error is the one to tell
    }
    written.map_err(io_error(path, "written"))
}

/// Whether a file can be written there: asked before anything is fetched or changed for it.
///
/// # Errors
/// When it is a folder, its folder is not there, or there is such a file and it is not to be replaced.
pub fn free_for(path: &Path, replace: bool) -> Result<(), FileError> {
    if path.is_dir() {
        return Err(FileError::Folder { path: path.to_owned() });
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(FileError::NoFolder { path: parent.to_owned() });
    }
    if !replace && path.symlink_metadata().is_ok() {
        return Err(FileError::Taken { path: path.to_owned() });
    }
    Ok(())
}

/// Reads a file that holds a secret; one that others may read is refused, as it may be theirs already.
///
/// # Errors
/// When it cannot be read, or is readable or owned by others.
pub fn read_private(path: &Path) -> Result<Option<String>, FileError> {
    let Some((text, found)) = read(path)? else { return Ok(None) };
    if found.uid() != nix::unistd::Uid::effective().as_raw() {
        return Err(FileError::Foreign { path: path.to_owned() });
    }
    if found.mode() & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned() });
    }
    Ok(Some(text))
}

/// Reads a text file of reasonable size; `None` when there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    Ok(read(path)?.map(|(text, _)| text))
}

fn read(path: &Path) -> Result<Option<(String, fs::Metadata)>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error(path, "read")(e)),
    };
    let found = file.metadata().map_err(io_error(path, "read"))?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(io_error(path, "read"))?;
    if text.len() as u64 > FILE_BYTES {
        return Err(FileError::Malformed { path: path.to_owned(), why: format!("it is larger than {FILE_BYTES} bytes") });
    }
    Ok(Some((text, found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_private(&Env::system(), &path, b"one").unwrap();
        write_private(&Env::system(), &path, b"two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_private(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left beside it");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_private(&path), Err(FileError::Exposed { .. })));
    }

    #[test]
    fn nothing_is_replaced_unasked_and_no_folder_is_taken_for_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        assert!(free_for(&path, false).is_ok());
        fs::write(&path, "mine").unwrap();
        assert!(matches!(free_for(&path, false), Err(FileError::Taken { .. })));
        assert!(free_for(&path, true).is_ok());
        assert!(matches!(free_for(folder.path(), true), Err(FileError::Folder { .. })));
        assert!(matches!(free_for(&folder.path().join("no/report.json"), true), Err(FileError::NoFolder { .. })));
    }

    #[test]
    fn a_folder_that_was_open_is_closed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        private_folder(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_cannot_be_written_says_so_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_private(&Env::system(), &folder.path().join("no/such/file"), b"x").unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
