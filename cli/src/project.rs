//! The project that a folder belongs to: `.purser/state.json`, found upward.
//!
//! The file is meant to be committed. It holds names and ids, never a secret and no URL: a repository must not be able to
//! send an agent's tokens to somebody else's orchestrator.

use std::fs;
use std::path::{Path, PathBuf};

use purser_values::Env;
use purser_values::error::{Kind, PublicError};
use purser_values::name::{EnvironmentName, ProjectName};
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError, io_error};

const FOLDER: &str = ".purser";
const FILE: &str = "state.json";
const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    pub project: Named,
    pub environment: EnvironmentName,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub id: String,
    pub name: ProjectName,
}

/// A project and the folder that holds its `.purser`.
#[derive(Clone, Debug)]
pub struct Project {
    pub root: PathBuf,
    pub state: State,
}

#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("this folder belongs to no project")]
    Missing,
    #[error("this folder belongs to project `{found}`, not `{asked}`")]
    Other { found: ProjectName, asked: ProjectName },
    #[error("`{path}` was written by another version of purser ({version})")]
    Version { path: PathBuf, version: u32 },
    #[error(transparent)]
    File(#[from] FileError),
}

impl PublicError for ProjectError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "PROJECT_NOT_INITIALIZED",
            Self::Other { .. } => "PROJECT_MISMATCH",
            Self::Version { .. } => "PROJECT_VERSION",
            Self::File(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::Version { .. } => Kind::Invalid,
            Self::Other { .. } => Kind::Conflict,
            Self::File(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => Some("run `purser init` in the project's folder".to_owned()),
            Self::Other { .. } => Some("work in another folder, or remove `.purser` to start over".to_owned()),
            Self::Version { .. } => Some("use that version, or remove the file and run `purser init`".to_owned()),
            Self::File(e) => e.hint(),
        }
    }
}

impl Project {
    /// The project of `start` or of the nearest folder above it that has one.
    ///
    /// # Errors
    /// [`ProjectError::Missing`], or a state file that cannot be read.
    pub fn find(start: &Path) -> Result<Self, ProjectError> {
        start.ancestors().find_map(|root| Self::read(root).transpose()).unwrap_or(Err(ProjectError::Missing))
    }

    fn read(root: &Path) -> Result<Option<Self>, ProjectError> {
        let path = root.join(FOLDER).join(FILE);
        let Some(text) = files::read_text(&path)? else { return Ok(None) };
        let malformed = |e: serde_json::Error| FileError::Malformed { path: path.clone(), why: e.to_string() };
        let state: State = serde_json::from_str(&text).map_err(malformed)?;
        if state.version != VERSION {
            return Err(ProjectError::Version { path, version: state.version });
        }
        Ok(Some(Self { root: root.to_owned(), state }))
    }

    /// Binds a folder to a project. Binding it to the same project again changes nothing.
    ///
    /// # Errors
    /// When the folder belongs to another project or cannot be written.
    pub fn bind(env: &Env, root: &Path, project: Named, environment: EnvironmentName) -> Result<Self, ProjectError> {
        Self::free_for(root, &project.name)?;
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder).map_err(io_error(&folder, "created"))?;
        let state = State { version: VERSION, project, environment };
        let mut text = serde_json::to_string_pretty(&state).unwrap_or_default();
        text.push('\n');
        files::write_private(env, &folder.join(FILE), text.as_bytes())?;
        Ok(Self { root: root.to_owned(), state })
    }

    /// Whether the folder may become that project, before the orchestrator is asked.
    ///
    /// # Errors
    /// [`ProjectError::Other`] when it is another one already.
    pub fn free_for(root: &Path, asked: &ProjectName) -> Result<(), ProjectError> {
        match Self::read(root)? {
            Some(found) if found.state.project.name != *asked => {
                Err(ProjectError::Other { found: found.state.project.name, asked: asked.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// A project name made of a folder's name.
#[must_use]
pub fn name_of_folder(folder: &Path) -> Option<ProjectName> {
    let text = folder.file_name()?.to_string_lossy().to_ascii_lowercase();
    let kept: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let words: Vec<&str> = kept.split('-').filter(|word| !word.is_empty()).collect();
    let joined: String = words.join("-").chars().take(48).collect();
    joined.trim_end_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Named {
        Named { id: "prj_1".to_owned(), name: name.parse().unwrap() }
    }

    #[test]
    fn a_project_is_found_from_any_folder_below() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        assert!(matches!(Project::find(&below), Err(ProjectError::Missing)));
        Project::bind(&Env::system(), root.path(), named("site"), "development".parse().unwrap()).unwrap();
        assert_eq!(Project::find(&below).unwrap().state.project.name.as_str(), "site");
    }

    #[test]
    fn a_folder_is_one_project() {
        let root = tempfile::tempdir().unwrap();
        let bind = |name| Project::bind(&Env::system(), root.path(), named(name), "development".parse().unwrap());
        bind("site").unwrap();
        bind("site").unwrap();
        assert!(matches!(bind("other"), Err(ProjectError::Other { .. })));
    }

    #[test]
    fn a_folder_lends_its_name() {
        assert_eq!(name_of_folder(Path::new("/x/My Site_2")).unwrap().as_str(), "my-site-2");
        assert!(name_of_folder(Path::new("/x/---")).is_none());
    }
}
