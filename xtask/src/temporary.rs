//! Temporary folders that are closed to others, removed on drop, and swept up later if we were killed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fail::{Context, Outcome};

#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// A new folder named after us, so that a later run can tell whether its owner still lives.
    pub fn create(prefix: &str) -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("{prefix}{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).context(|| format!("creating `{}`", path.display()))?;
        let folder = Self(path);
        fs::set_permissions(&folder.0, Permissions::from_mode(0o700)).context(|| format!("closing `{}` to others", folder.0.display()))?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what killed runs left behind.
pub fn sweep(prefix: &str) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix(prefix)
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_closed_lives_as_long_as_its_owner_and_survives_a_sweep_until_then() {
        let prefix = "purser-xtask-selftest-";
        let folder = Temporary::create(prefix).unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let orphan = std::env::temp_dir().join(format!("{prefix}999999999"));
        fs::create_dir_all(&orphan).unwrap();
        sweep(prefix);
        assert!(path.exists() && !orphan.exists());
        drop(folder);
        assert!(!path.exists());
    }
}
