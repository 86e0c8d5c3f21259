//! The signed head of the chain, kept outside the database, with the public keys that verify it.

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

/// The public keys that ever signed a checkpoint here, newest last.
#[derive(Serialize)]
pub(crate) struct KeySet {
    pub keys: Vec<Jwk>,
}

/// What the file holds; versions before had one key in it.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeyFile {
    Set { keys: Vec<Jwk> },
    One(Jwk),
}

/// The folder with the checkpoint and the public keys that verify it.
pub(crate) struct Folder(pub PathBuf);

impl Folder {
    fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.jws")
    }

    fn key(&self) -> PathBuf {
        self.0.join("checkpoint-key.json")
    }

    /// Adds a key to those that verify. It is there before the first checkpoint that it signed.
    pub fn add_key(&self, key: &Jwk) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        let mut keys = match self.read_keys() {
            Ok(set) => set.keys,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        if keys.contains(key) {
            return Ok(());
        }
        keys.push(key.clone());
        write_durably(&self.key(), serde_json::to_string_pretty(&KeySet { keys })?.as_bytes())
    }

    pub fn read_keys(&self) -> std::io::Result<KeySet> {
        Ok(match serde_json::from_slice(&std::fs::read(self.key())?)? {
            KeyFile::Set { keys } => KeySet { keys },
            KeyFile::One(key) => KeySet { keys: vec![key] },
        })
    }

    pub fn write(&self, checkpoint: &Checkpoint, key: &SigningKey) -> std::io::Result<()> {
        let text = key.sign(TYP, checkpoint).map_err(std::io::Error::other)?;
        write_durably(&self.checkpoint(), text.as_bytes())
    }

    /// The checkpoint, if there is one; an error when it is not signed by a key that `known` finds by its name.
    pub fn read(&self, known: impl Fn(&str) -> Option<Jwk>) -> std::io::Result<Option<Checkpoint>> {
        let text = match std::fs::read_to_string(self.checkpoint()) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let text = text.trim();
        let kid = jose::decode_unverified::<serde_json::Value>(text, TYP).map_err(std::io::Error::other)?.kid;
        let key = kid.as_deref().and_then(known).ok_or_else(|| std::io::Error::other("it is signed by a key that is not ours"))?;
        jose::verify(text, TYP, &key).map(|v| Some(v.claims)).map_err(std::io::Error::other)
    }
}

impl KeySet {
    pub fn find(&self, kid: &str) -> Option<Jwk> {
        self.keys.iter().find(|key| key.thumbprint() == kid).cloned()
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
