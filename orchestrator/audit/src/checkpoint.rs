//! The signed head of the chain, kept outside the database.

use std::path::{Path, PathBuf};

use purser_crypto::jose::{self, Jwk, SigningKey};
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

const TYP: &str = "purser-checkpoint+jwt";

/// How far the log had come at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub seq: i64,
    pub hash: Sha256Digest,
    pub at: Timestamp,
}

/// The folder with the checkpoint and the public key that verifies it.
pub(crate) struct Folder(pub PathBuf);

impl Folder {
    fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.jws")
    }

    fn key(&self) -> PathBuf {
        self.0.join("checkpoint-key.json")
    }

    pub fn write_key(&self, key: &Jwk) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        write_durably(&self.key(), serde_json::to_string_pretty(key)?.as_bytes())
    }

    pub fn read_key(&self) -> std::io::Result<Jwk> {
        Ok(serde_json::from_slice(&std::fs::read(self.key())?)?)
    }

    pub fn write(&self, checkpoint: &Checkpoint, key: &SigningKey) -> std::io::Result<()> {
        let text = key.sign(TYP, checkpoint).map_err(std::io::Error::other)?;
        write_durably(&self.checkpoint(), text.as_bytes())
    }

    /// The checkpoint, if there is one; an error when it is not signed by `key`.
    pub fn read(&self, key: &Jwk) -> std::io::Result<Option<Checkpoint>> {
        match std::fs::read_to_string(self.checkpoint()) {
            Ok(text) => jose::verify(text.trim(), TYP, key).map(|v| Some(v.claims)).map_err(std::io::Error::other),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// A crash leaves the old file or the new one, never a half.
fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let temporary = path.with_extension("new");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
