//! slipway's own keys: made on the first start, files of mode 0600 in a folder of mode 0700.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use purser_crypto::jose::{Algorithm, JoseError, SigningKey};
use purser_crypto::seal::{Keyring, SealError};
use purser_values::{Env, Secret};
use slipway_accounts::realm::CodeKey;

/// Bytes of the key of codes.
const CODE_KEY_BYTES: usize = 32;

/// The keys of one installation.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Signs charges and events to the orchestrator; its public half is in the manifest.
    pub signing: SigningKey,
    /// Seals payment tokens, kept answers and the secrets of Workers.
    pub keyring: Keyring,
    /// Authenticates sign-in codes and forms.
    pub codes: CodeKey,
}

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("cannot use `{path}`: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("`{0}` is readable by others; run `chmod 600` on it")]
    Open(PathBuf),
    #[error("`{0}` is empty; it must hold a secret")]
    Empty(PathBuf),
    #[error("`{0}` is too short to be a key; restore it from its copy")]
    Short(PathBuf),
    #[error(transparent)]
    Signing(#[from] JoseError),
    #[error(transparent)]
    Sealing(#[from] SealError),
}

impl Keys {
    /// Opens the folder, making it and what is missing in it.
    ///
    /// # Errors
    /// When a file cannot be read or made, is readable by others, or holds no key.
    pub fn open(folder: &Path, env: &Env) -> Result<Self, KeysError> {
        make_folder(folder)?;
        let sealing = folder.join("sealing.key");
        let keyring = match read(&sealing)? {
            Some(text) => Keyring::from_hex(&Secret::new(String::from_utf8_lossy(text.expose()).into_owned()))?,
            None => {
                let text = Keyring::generate_hex(env);
                write(&sealing, text.expose().as_bytes())?;
                Keyring::from_hex(&text)?
            }
        };
        let signing = folder.join("signing.pkcs8");
        let signing = match read(&signing)? {
            Some(document) => SigningKey::from_pkcs8(Algorithm::EdDsa, &document)?,
            None => {
                let key = SigningKey::generate(Algorithm::EdDsa)?;
                write(&signing, key.pkcs8().expose())?;
                key
            }
        };
        let codes = folder.join("codes.key");
        let codes = match read(&codes)? {
            Some(bytes) if bytes.expose().len() >= CODE_KEY_BYTES => bytes,
            Some(_) => return Err(KeysError::Short(codes)),
            None => {
                let bytes = Secret::new(env.bytes::<CODE_KEY_BYTES>().to_vec());
                write(&codes, bytes.expose())?;
                bytes
            }
        };
        Ok(Self { signing, keyring, codes: CodeKey::new(codes) })
    }
}

/// A secret that somebody else made, from a file of mode 0600: what signs the orchestrator's requests, the mail server's URL.
///
/// # Errors
/// When the file is missing, empty, or readable by others.
pub fn secret_text(path: &Path) -> Result<Secret<String>, KeysError> {
    let missing = || KeysError::File { path: path.to_owned(), source: io::ErrorKind::NotFound.into() };
    let bytes = read(path)?.ok_or_else(missing)?;
    let text = Secret::new(String::from_utf8_lossy(bytes.expose()).trim().to_owned());
    if text.is_empty() { Err(KeysError::Empty(path.to_owned())) } else { Ok(text) }
}

fn make_folder(folder: &Path) -> Result<(), KeysError> {
    let failed = |source| KeysError::File { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)
}

fn read(path: &Path) -> Result<Option<Secret<Vec<u8>>>, KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    if mode & 0o077 != 0 {
        return Err(KeysError::Open(path.to_owned()));
    }
    fs::read(path).map(|bytes| Some(Secret::new(bytes))).map_err(failed)
}

/// Written whole or not at all: a key that was lost in a crash would make everything it sealed unreadable.
fn write(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let part = path.with_extension("part");
    let _ = fs::remove_file(&part);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&part, path).map_err(failed)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_the_same_and_an_open_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let first = Keys::open(&path, &Env::system()).unwrap();
        let again = Keys::open(&path, &Env::system()).unwrap();
        assert_eq!(first.signing.public(), again.signing.public());
        let sealed = first.keyring.seal(&Env::system(), "x", b"y").unwrap();
        assert_eq!(again.keyring.open("x", &sealed).unwrap().expose(), b"y");
        let key = path.join("sealing.key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::open(&path, &Env::system()), Err(KeysError::Open(_))));
    }
}
