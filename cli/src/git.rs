//! Whether a file with secrets could end in a commit.

use std::path::Path;
use std::process::{Command, Stdio};

/// What Git would do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No repository above it.
    Outside,
    Ignored,
    /// In a repository and not ignored, or nobody could tell.
    Exposed,
}

/// How `path` stands in the repository around it, if there is one.
#[must_use]
pub fn standing(path: &Path) -> Standing {
    let Some(folder) = path.parent() else { return Standing::Outside };
    if !folder.ancestors().any(|above| above.join(".git").exists()) {
        return Standing::Outside;
    }
    let mut ask = Command::new("git");
    ask.arg("-C").arg(folder).args(["check-ignore", "--quiet", "--"]).arg(path);
    // the caller's own settings must not point Git at another repository
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        ask.env_remove(name);
    }
    let asked = ask.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if asked.is_ok_and(|status| status.success()) { Standing::Ignored } else { Standing::Exposed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_an_ignored_file_is_safe_in_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        assert_eq!(standing(&file), Standing::Outside);
        let made = Command::new("git").args(["init", "--quiet"]).arg(folder.path()).status();
        assert!(made.is_ok_and(|s| s.success()), "this test needs git");
        assert_eq!(standing(&file), Standing::Exposed);
        fs::write(folder.path().join(".gitignore"), ".env\n").unwrap();
        assert_eq!(standing(&file), Standing::Ignored);
    }
}
