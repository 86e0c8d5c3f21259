//! The orchestrator's own keys: those that sign, those that signed before, and the secret of its codes.
//!
//! Ed25519 signs what agents, providers and auditors read; P-256 signs what OpenID clients read, because all of them know ES256.
//! All are sealed in the database. Retired keys stay published, because grants that they signed must stay verifiable.

use std::sync::Arc;

use purser_crypto::jose::{Algorithm, JoseError, Jwk, SigningKey};
use purser_crypto::mac;
use purser_crypto::seal::{Keyring, SealError};
use purser_db::{DbError, Tx, params};
use purser_values::{Env, Secret};
use serde::Serialize;

const MAC_NAME: &str = "codes";

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("a stored key cannot be opened with this key-encryption key: {0}")]
    Seal(#[from] SealError),
    #[error("a key cannot be made or read: {0}")]
    Key(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The keys of one orchestrator, cheap to clone.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    active: SigningKey,
    es256: SigningKey,
    published: Vec<Jwk>,
    codes: Secret<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({:?})", self.0.active)
    }
}

impl Keys {
    /// Opens the stored keys, making them on the first start.
    ///
    /// # Errors
    /// When the store fails or a key does not open.
    pub fn load(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring) -> Result<Self, KeysError> {
        let rows = tx.query("select kid, sealed, public, retired_at from signing_key order by created_at desc, kid", params![])?;
        let mut published = Vec::with_capacity(rows.len() + 1);
        let (mut active, mut es256) = (None, None);
        for row in &rows {
            let public: Jwk = row.json("public")?;
            let alg = public.algorithm();
            published.push(public);
            let place = match alg {
                Algorithm::EdDsa => &mut active,
                Algorithm::Es256 => &mut es256,
            };
            if place.is_none() && row.get::<Option<i64>>("retired_at")?.is_none() {
                let sealed: Vec<u8> = row.get("sealed")?;
                let pkcs8 = keyring.open(&key_purpose(&row.get::<String>("kid")?), &sealed)?;
                *place = Some(SigningKey::from_pkcs8(alg, &pkcs8)?);
            }
        }
        let mut made = |found: Option<SigningKey>, alg| match found {
            Some(key) => Ok(key),
            None => {
                let key = add_key(tx, env, keyring, alg)?;
                published.insert(0, key.public().clone());
                Ok::<_, KeysError>(key)
            }
        };
        let (active, es256) = (made(active, Algorithm::EdDsa)?, made(es256, Algorithm::Es256)?);
        Ok(Self(Arc::new(Inner { active, es256, published, codes: code_secret(tx, env, keyring)? })))
    }

    /// Whether the keys in use open with this key-encryption key. Nothing is kept of them.
    ///
    /// # Errors
    /// When one does not, or there is none.
    pub fn opens(tx: &mut Tx<'_>, keyring: &Keyring) -> Result<(), KeysError> {
        let rows = tx.query("select kid, sealed from signing_key where retired_at is null", params![])?;
        if rows.is_empty() {
            return Err(DbError::NoRow.into());
        }
        for row in &rows {
            keyring.open(&key_purpose(&row.get::<String>("kid")?), &row.get::<Vec<u8>>("sealed")?)?;
        }
        Ok(())
    }

    /// Makes new signing keys and retires those in use, which stay published.
    ///
    /// # Errors
    /// As [`Keys::load`].
    pub fn rotate(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring) -> Result<Self, KeysError> {
        tx.execute("update signing_key set retired_at = $1 where retired_at is null", params![env.now()])?;
        Self::load(tx, env, keyring)
    }

    /// A compact JWS by the active Ed25519 key.
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        self.0.active.sign(typ, claims)
    }

    /// A compact JWS by the active key of an algorithm.
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign_with(&self, alg: Algorithm, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        let key = match alg {
            Algorithm::EdDsa => &self.0.active,
            Algorithm::Es256 => &self.0.es256,
        };
        key.sign(typ, claims)
    }

    /// The Ed25519 key that signs now.
    #[must_use]
    pub fn active(&self) -> &SigningKey {
        &self.0.active
    }

    /// All public keys, newest first, for the key set.
    #[must_use]
    pub fn published(&self) -> &[Jwk] {
        &self.0.published
    }

    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.0.published.iter().find(|key| key.kid.as_deref() == Some(kid))
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
}

fn add_key(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, alg: Algorithm) -> Result<SigningKey, KeysError> {
    let key = SigningKey::generate(alg)?;
    let kid = key.public().thumbprint();
    let sealed = keyring.seal(env, &key_purpose(&kid), key.pkcs8().expose())?;
    let public = serde_json::json!(key.public());
    let insert = "insert into signing_key (kid, sealed, public, created_at) values ($1, $2, $3, $4)";
    tx.execute(insert, params![kid, sealed, public, env.now()])?;
    Ok(key)
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

fn key_purpose(kid: &str) -> String {
    format!("signing-key/{kid}")
}
