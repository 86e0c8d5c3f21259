//! The orchestrator's own keys: those that sign, those that will, those that did, and the secret of its codes.
//!
//! Ed25519 signs what agents, providers and auditors read; P-256 signs what OpenID clients read, because all of them know ES256.
//! All are sealed in the database. What a key does at a moment follows from the times in its row, so that every node goes over to
//! the next one by itself; what changes in the rows, [`Keys::reload`] picks up.
//!
//! INVARIANT (key-before-signature): a key is published before it signs, and until the last thing that it signed can have ended. Its
//! public half is kept for ever, because records that it signed must stay verifiable.

mod leave;
mod life;
mod list;
mod ring;
mod rotate;

use std::sync::{Arc, PoisonError, RwLock};

use purser_crypto::jose::{Algorithm, JoseError, Jwk, KeySource, SigningKey};
use purser_crypto::mac;
use purser_crypto::seal::{Keyring, SealError};
use purser_db::{DbError, Tx, params};
use purser_values::{Env, Secret};
use serde::Serialize;

pub use leave::signing_key_sweep;
pub use life::{KeyLife, KeyState};
pub use list::{ListedKey, signing_key_list};
use ring::{Ring, Rows};
pub use rotate::{Haste, RotateError, Rotation, signing_key_rotate};

const MAC_NAME: &str = "codes";

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("a stored key cannot be opened with this key-encryption key: {0}")]
    Seal(#[from] SealError),
    #[error("a key cannot be made or read: {0}")]
    Key(#[from] JoseError),
    #[error("the stored key `{0}` is not the one that was sealed")]
    Altered(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The keys of one orchestrator, cheap to clone; all clones change together.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    env: Env,
    keyring: Keyring,
    ring: RwLock<Arc<Ring>>,
    codes: Secret<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({:?})", self.active())
    }
}

impl Keys {
    /// Opens the stored keys, making them on the first start.
    ///
    /// # Errors
    /// When the store fails or a key does not open.
    pub fn load(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring) -> Result<Self, KeysError> {
        let ring = match Rows::read(tx, keyring, None)?.complete() {
            Ok(ring) => ring,
            Err(missing) => {
                let now = env.now();
                for alg in missing {
                    ring::add(tx, env, keyring, alg, now)?;
                }
                Rows::read(tx, keyring, None)?.complete().map_err(|_| DbError::NoRow)?
            }
        };
        let codes = code_secret(tx, env, keyring)?;
        Ok(Self(Arc::new(Inner { env: env.clone(), keyring: keyring.clone(), ring: RwLock::new(Arc::new(ring)), codes })))
    }

    /// Reads what the store has now; answers whether anything changed. When it fails, the keys stay as they are.
    ///
    /// # Errors
    /// When the store fails, or a row is not what was sealed.
    pub fn reload(&self, tx: &mut Tx<'_>) -> Result<bool, KeysError> {
        let before = self.ring();
        let ring = Rows::read(tx, &self.0.keyring, Some(&before))?.complete().map_err(|_| DbError::NoRow)?;
        let changed = !ring.is_same(&before);
        if changed {
            *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        }
        Ok(changed)
    }

    /// Whether the keys open with this key-encryption key. Nothing is kept of them.
    ///
    /// # Errors
    /// When one does not, or there is none.
    pub fn opens(tx: &mut Tx<'_>, keyring: &Keyring) -> Result<(), KeysError> {
        Rows::read(tx, keyring, None)?.complete().map_err(|_| DbError::NoRow)?;
        Ok(())
    }

    /// A compact JWS by the Ed25519 key that signs now.
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        self.sign_with(Algorithm::EdDsa, typ, claims)
    }

    /// A compact JWS by the key of an algorithm that signs now.
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign_with(&self, alg: Algorithm, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        self.ring().signer(alg, self.0.env.now()).sign(typ, claims)
    }

    /// The Ed25519 key that signs now.
    #[must_use]
    pub fn active(&self) -> SigningKey {
        self.ring().signer(Algorithm::EdDsa, self.0.env.now()).clone()
    }

    /// The public keys of the key set now, newest first.
    #[must_use]
    pub fn published(&self) -> Vec<Jwk> {
        self.ring().published(self.0.env.now()).map(|(key, _)| key.clone()).collect()
    }

    /// The same with the times of each.
    #[must_use]
    pub fn lives(&self) -> Vec<(Jwk, KeyLife)> {
        self.ring().published(self.0.env.now()).map(|(key, life)| (key.clone(), life)).collect()
    }

    /// All public keys that there ever were, newest first: for records, which outlive the key set.
    #[must_use]
    pub fn kept(&self) -> Vec<Jwk> {
        self.ring().kept().cloned().collect()
    }

    /// The key of that name, when a token of it can be alive.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<Arc<Jwk>> {
        self.ring().of_tokens(kid, self.0.env.now())
    }

    /// The key of that name, when it is in the key set: for what may be older than a token gets.
    #[must_use]
    pub fn find_published(&self, kid: &str) -> Option<Jwk> {
        self.ring().published(self.0.env.now()).map(|(key, _)| key).find(|key| key.kid.as_deref() == Some(kid)).cloned()
    }

    /// HMAC under the secret of codes and form tokens. `purpose` keeps uses apart.
    #[must_use]
    pub fn mac(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut framed = vec![purpose.as_bytes(), b"\0"];
        for part in parts {
            framed.extend([part.as_bytes(), b"\0".as_slice()]);
        }
        mac::hmac_sha256(self.0.codes.expose(), &framed)
    }

    fn ring(&self) -> Arc<Ring> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl KeySource for Keys {
    fn signing(&self) -> SigningKey {
        self.active()
    }

    fn known(&self, kid: &str) -> Option<Jwk> {
        self.ring().kept().find(|key| key.kid.as_deref() == Some(kid)).cloned()
    }
}

/// The keys for those who take ES256 alone.
#[derive(Clone, Debug)]
pub struct Es256(pub Keys);

impl KeySource for Es256 {
    fn signing(&self) -> SigningKey {
        self.0.ring().signer(Algorithm::Es256, self.0.0.env.now()).clone()
    }

    fn known(&self, kid: &str) -> Option<Jwk> {
        self.0.known(kid)
    }
}

fn code_secret(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring) -> Result<Secret<Vec<u8>>, KeysError> {
    let purpose = format!("identity-secret/{MAC_NAME}");
    if let Some(row) = tx.query_opt("select sealed from identity_secret where name = $1", params![MAC_NAME])? {
        let sealed: Vec<u8> = row.get("sealed")?;
        return Ok(keyring.open(&purpose, &sealed)?);
    }
    let secret = Secret::new(env.bytes::<32>().to_vec());
    let sealed = keyring.seal(env, &purpose, secret.expose())?;
    tx.execute("insert into identity_secret (name, sealed) values ($1, $2)", params![MAC_NAME, sealed])?;
    Ok(secret)
}
