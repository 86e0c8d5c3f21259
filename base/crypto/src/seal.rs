//! Sealing: envelope encryption of secrets at rest.
//!
//! Each secret gets a data key of its own; the data key is wrapped by the key-encryption key of a [`Keyring`], which lives
//! outside the database. Both layers are AES-256-GCM and bind the same associated data (what the secret is and whose), so
//! that a sealed value moved to another row does not open. Replacing the key-encryption key rewraps data keys only.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use purser_values::{Env, Secret};

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = NONCE_LEN + KEY_LEN + TAG_LEN;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the key file holds no 256-bit key in hexadecimal")]
    Key,
    #[error("the sealed value cannot be opened: it was changed, moved, or sealed under another key")]
    Open,
    #[error("the value cannot be sealed")]
    Seal,
}

/// The key-encryption key of one process.
#[derive(Clone)]
pub struct Keyring(Arc<LessSafeKey>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(***)")
    }
}

impl Keyring {
    /// # Errors
    /// When the bytes are not a usable key.
    pub fn from_bytes(key: &Secret<[u8; KEY_LEN]>) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| SealError::Key)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Reads the form that [`Keyring::generate_hex`] writes.
    ///
    /// # Errors
    /// When the text is not 64 hexadecimal characters.
    pub fn from_hex(text: &Secret<String>) -> Result<Self, SealError> {
        let mut key = [0_u8; KEY_LEN];
        hex::decode_to_slice(text.expose().trim(), &mut key).map_err(|_| SealError::Key)?;
        Self::from_bytes(&Secret::new(key))
    }

    /// The text of a key file: 64 hexadecimal characters.
    #[must_use]
    pub fn generate_hex(env: &Env) -> Secret<String> {
        Secret::new(hex::encode(env.bytes::<KEY_LEN>()))
    }

    /// Seals `plain` for the purpose named by `aad`, for example `credential/res_…/CLOUDFLARE_API_TOKEN`.
    ///
    /// # Errors
    /// When the primitive refuses, which means a value beyond its length limit.
    pub fn seal(&self, env: &Env, aad: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let data_key = Secret::new(env.bytes::<KEY_LEN>());
        let mut out = Vec::with_capacity(1 + WRAPPED_LEN + NONCE_LEN + plain.len() + TAG_LEN);
        out.push(VERSION);
        seal_layer(&self.0, env, aad, data_key.expose(), &mut out)?;
        let inner = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, data_key.expose()).map_err(|_| SealError::Seal)?);
        seal_layer(&inner, env, aad, plain, &mut out)?;
        Ok(out)
    }

    /// # Errors
    /// When the value was changed, belongs to another `aad`, or was sealed under another key.
    pub fn open(&self, aad: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Open)?;
        if *version != VERSION || rest.len() < WRAPPED_LEN + NONCE_LEN + TAG_LEN {
            return Err(SealError::Open);
        }
        let (wrapped, body) = rest.split_at(WRAPPED_LEN);
        let data_key = open_layer(&self.0, aad, wrapped)?;
        let inner = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, data_key.expose()).map_err(|_| SealError::Open)?);
        open_layer(&inner, aad, body)
    }

    /// [`Keyring::open`] for text.
    ///
    /// # Errors
    /// As [`Keyring::open`], and when the bytes are not UTF-8.
    pub fn open_text(&self, aad: &str, sealed: &[u8]) -> Result<Secret<String>, SealError> {
        let bytes = self.open(aad, sealed)?;
        std::str::from_utf8(bytes.expose()).map(|s| Secret::new(s.to_owned())).map_err(|_| SealError::Open)
    }
}

fn seal_layer(key: &LessSafeKey, env: &Env, aad: &str, plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
    let nonce = env.bytes::<NONCE_LEN>();
    out.extend_from_slice(&nonce);
    let mut buffer = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad.as_bytes()), &mut buffer)
        .map_err(|_| SealError::Seal)?;
    out.extend_from_slice(&buffer);
    Ok(())
}

fn open_layer(key: &LessSafeKey, aad: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Open)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
    let mut buffer = body.to_vec();
    let length = key.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut buffer).map_err(|_| SealError::Open)?.len();
    buffer.truncate(length);
    Ok(Secret::new(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Timestamp;

    fn ring(seed: u64) -> (Keyring, Env) {
        let (env, _) = Env::test(Timestamp::EPOCH, seed);
        (Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap(), env)
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_purpose_only() {
        let (ring, env) = ring(1);
        let sealed = ring.seal(&env, "credential/a", b"s3cret").unwrap();
        assert_eq!(ring.open("credential/a", &sealed).unwrap().expose(), b"s3cret");
        assert!(ring.open("credential/b", &sealed).is_err());
        assert!(ring_other().open("credential/a", &sealed).is_err());
    }

    fn ring_other() -> Keyring {
        ring(2).0
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (ring, env) = ring(3);
        let sealed = ring.seal(&env, "x", b"abc").unwrap();
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(ring.open("x", &changed).is_err(), "byte {i} was changed unnoticed");
        }
        for end in 0..sealed.len() {
            assert!(ring.open("x", &sealed[..end]).is_err());
        }
    }
}
