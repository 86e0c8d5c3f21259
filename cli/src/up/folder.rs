//! The data folder: private, held by one supervisor, and the names of everything in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use purser_values::{Env, Secret};

use super::UpError;
use crate::files::{self, io_error};

#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Held as long as the supervisor lives; the system lets go of it when the process dies.
    _lock: File,
}

impl Folder {
    /// Makes what is missing and takes the lock.
    pub fn open(env: &Env, dir: &Path) -> Result<Self, UpError> {
        files::private_folder(dir)?;
        let dir = dir.canonicalize().map_err(io_error(dir, "found"))?;
        if dir.to_str().is_none() {
            return Err(UpError::Path(dir));
        }
        let path = dir.join("up.lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io_error(&path, "opened"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(UpError::Locked(dir)),
            Err(TryLockError::Error(cause)) => return Err(io_error(&path, "locked")(cause).into()),
        }
        let folder = Self { dir, _lock: lock };
        for sub in [folder.keys(), folder.mail(), folder.logs()] {
            files::private_folder(&sub)?;
        }
        folder.forget_run(); // it is of a supervisor that died: nobody answers there
        folder.shared_secret(env)?;
        Ok(folder)
    }

    /// The secret with which the two halves sign to each other. Made once.
    fn shared_secret(&self, env: &Env) -> Result<(), UpError> {
        let path = self.signing_secret();
        if files::read_private(&path)?.is_none() {
            let secret = Secret::new(env.bytes::<32>().iter().map(|b| format!("{b:02x}")).collect::<String>());
            files::write_private(env, &path, secret.expose().as_bytes())?;
        }
        Ok(())
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    pub fn mail(&self) -> PathBuf {
        self.dir.join("mail")
    }

    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    pub fn signing_secret(&self) -> PathBuf {
        self.keys().join("signing-secret")
    }

    pub fn ports_file(&self) -> PathBuf {
        self.dir.join("ports.json")
    }

    pub fn run_file(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    pub fn orchestrator_config(&self) -> PathBuf {
        self.dir.join("orchestrator.toml")
    }

    pub fn slipway_config(&self) -> PathBuf {
        self.dir.join("slipway.toml")
    }

    pub fn forget_run(&self) {
        let _ = fs::remove_file(self.run_file()); // there may be none
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_folder_is_private_and_held_by_one() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("data");
        let first = Folder::open(&Env::system(), &dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(first.signing_secret()).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(Folder::open(&Env::system(), &dir), Err(UpError::Locked(_))));
        let secret = fs::read(first.signing_secret()).unwrap();
        drop(first);
        let again = Folder::open(&Env::system(), &dir).unwrap();
        assert_eq!(fs::read(again.signing_secret()).unwrap(), secret);
    }
}
