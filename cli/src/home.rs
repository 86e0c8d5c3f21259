//! The agent's home: its key, its session, and which orchestrator it works with.
//!
//! `PURSER_HOME`, or `~/.purser`; mode 0700. Files: `agent.key` (Ed25519, PKCS #8, 0600), `session.json` (tokens, 0600),
//! `config.json` (the orchestrator's URL), `login.json` (a request that waits for a person, 0600).
//!
//! INVARIANT (one-refresher): the refresh token rotates, and a token used twice ends the whole grant's family. So it is used
//! only under the lock of the home, and the session is read again once the lock is held.

mod key;
mod session;
mod waiting;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use purser_crypto::jose::{JoseError, SigningKey};
use purser_values::Env;
use purser_values::error::{Kind, PublicError};
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError, io_error};

pub use key::{decode_key, encode_key};
pub use session::Session;
pub use waiting::Waiting;

/// How long a command waits for another one that holds the lock.
const LOCK_WAIT: Duration = Duration::from_secs(40);

#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

/// Held while the session is changed; let go of when dropped, and by the system when the process dies.
#[derive(Debug)]
pub struct Guard(#[allow(dead_code, reason = "the open file is the lock")] File);

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("neither PURSER_HOME nor HOME is set")]
    Nowhere,
    #[error("another purser command has held the lock of `{0}` for too long")]
    Busy(PathBuf),
    #[error("`{0}` holds no key")]
    Key(PathBuf),
    #[error("a key cannot be made")]
    NoKey(#[source] JoseError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl PublicError for HomeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nowhere => "HOME_UNKNOWN",
            Self::Busy(_) => "HOME_BUSY",
            Self::Key(_) | Self::NoKey(_) => "AGENT_KEY_UNUSABLE",
            Self::File(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Nowhere | Self::Key(_) => Kind::Invalid,
            Self::Busy(_) => Kind::Unavailable,
            Self::NoKey(_) => Kind::Internal,
            Self::File(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Nowhere => Some("set PURSER_HOME to a folder of the agent's own".to_owned()),
            Self::Busy(_) => Some("let it finish, or end it".to_owned()),
            Self::Key(path) => Some(format!("restore `{}`, or move it away and run `purser login` again", path.display())),
            Self::NoKey(_) => None,
            Self::File(e) => e.hint(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Config {
    url: String,
}

impl Home {
    /// The home of the agent that runs this command; the folder need not exist.
    ///
    /// # Errors
    /// When the environment names none.
    pub fn locate() -> Result<Self, HomeError> {
        let named = std::env::var_os("PURSER_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
        let usual = || std::env::var_os("HOME").filter(|v| !v.is_empty()).map(|home| Path::new(&home).join(".purser"));
        named.or_else(usual).map(Self::at).ok_or(HomeError::Nowhere)
    }

    #[must_use]
    pub const fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the folder, or makes it private.
    ///
    /// # Errors
    /// When it cannot be made or is another user's.
    pub fn prepare(&self) -> Result<(), HomeError> {
        Ok(files::private_folder(&self.dir)?)
    }

    /// Waits until this process alone may change the session.
    ///
    /// # Errors
    /// [`HomeError::Busy`] when another process does not finish.
    pub async fn lock(&self) -> Result<Guard, HomeError> {
        let path = self.file("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(io_error(&path, "opened"))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Guard(file)),
                Err(TryLockError::Error(cause)) => return Err(io_error(&path, "locked")(cause).into()),
                Err(TryLockError::WouldBlock) if start.elapsed() > LOCK_WAIT => return Err(HomeError::Busy(path)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The agent's key. The first call makes it; call it under the lock then.
    ///
    /// # Errors
    /// When the file is damaged, readable by others, or cannot be written.
    pub fn key(&self, env: &Env) -> Result<SigningKey, HomeError> {
        key::load_or_make(env, &self.file("agent.key"))
    }

    /// # Errors
    /// When the file is damaged or readable by others.
    pub fn session(&self) -> Result<Option<Session>, HomeError> {
        session::load(&self.file("session.json"))
    }

    /// # Errors
    /// When the file cannot be written; the old session is then still there.
    pub fn save_session(&self, env: &Env, session: &Session) -> Result<(), HomeError> {
        session::save(env, &self.file("session.json"), session)
    }

    /// The orchestrator that was used last.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn url(&self) -> Result<Option<String>, HomeError> {
        let path = self.file("config.json");
        let Some(text) = files::read_text(&path)? else { return Ok(None) };
        let malformed = |e: serde_json::Error| FileError::Malformed { path: path.clone(), why: e.to_string() };
        Ok(Some(serde_json::from_str::<Config>(&text).map_err(malformed)?.url))
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn save_url(&self, env: &Env, url: &str) -> Result<(), HomeError> {
        let text = serde_json::json!({ "url": url }).to_string();
        Ok(files::write_private(env, &self.file("config.json"), text.as_bytes())?)
    }

    /// A request that waits for a person's decision.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn waiting(&self) -> Result<Option<Waiting>, HomeError> {
        waiting::load(&self.file("login.json"))
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn save_waiting(&self, env: &Env, waiting: &Waiting) -> Result<(), HomeError> {
        waiting::save(env, &self.file("login.json"), waiting)
    }

    pub fn forget_waiting(&self) {
        let _ = std::fs::remove_file(self.file("login.json")); // one that stays is ended by its own expiry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lock_is_held_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let first = home.lock().await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(80), home.lock()).await;
        assert!(second.is_err(), "two had the lock");
        drop(first);
        home.lock().await.unwrap();
    }

    #[test]
    fn the_key_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        let first = home.key(&Env::system()).unwrap().public().thumbprint();
        assert_eq!(home.key(&Env::system()).unwrap().public().thumbprint(), first);
        std::fs::write(home.file("agent.key"), "nonsense").unwrap();
        assert!(matches!(home.key(&Env::system()), Err(HomeError::Key(_))));
    }
}
