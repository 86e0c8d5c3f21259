//! The keys as the store had them at a moment.
//!
//! A row counts only when what is sealed in it opens and is the key that it shows: who can write into the database and has not the
//! key-encryption key can hide a key, and not slip in one of theirs.

use std::sync::Arc;

use purser_crypto::jose::{Algorithm, Jwk, SigningKey};
use purser_crypto::seal::Keyring;
use purser_db::{Tx, params};
use purser_values::{Env, Timestamp};

use super::KeysError;
use super::life::{KeyLife, KeyState};

pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

#[derive(Clone)]
pub(super) struct Held {
    pub kid: String,
    pub public: Arc<Jwk>,
    pub life: KeyLife,
    /// Gone with the key's departure.
    signing: Option<SigningKey>,
}

/// The rows, newest first.
pub(super) struct Rows(pub Vec<Held>);

/// Rows with a key to go on with for each algorithm.
pub(super) struct Ring {
    held: Vec<Held>,
    ed25519: SigningKey,
    p256: SigningKey,
}

impl Rows {
    /// What is known from `before` is not opened again.
    pub fn read(tx: &mut Tx<'_>, keyring: &Keyring, before: Option<&Ring>) -> Result<Self, KeysError> {
        let select = "select kid, sealed, public, created_at, signs_from, retired_at, leaves_at, left_at from signing_key
                      order by created_at desc, signs_from desc, kid";
        let mut keys = Vec::new();
        for row in tx.query(select, params![])? {
            let kid: String = row.get("kid")?;
            let life = KeyLife {
                created_at: row.get("created_at")?,
                signs_from: row.get("signs_from")?,
                retired_at: row.get("retired_at")?,
                leaves_at: row.get("leaves_at")?,
            };
            let has_left = row.get::<Option<Timestamp>>("left_at")?.is_some();
            let known = before.and_then(|ring| ring.held.iter().find(|held| held.kid == kid && held.signing.is_none() == has_left));
            if let Some(known) = known {
                keys.push(Held { life, ..known.clone() });
                continue;
            }
            let (public, sealed): (Jwk, Vec<u8>) = (row.json("public")?, row.get("sealed")?);
            let altered = || KeysError::Altered(kid.clone());
            let signing = if has_left {
                let shown = keyring.open(&left_purpose(&kid), &sealed)?;
                if shown.expose().as_slice() != public.public_bytes() {
                    return Err(altered());
                }
                None
            } else {
                let key = SigningKey::from_pkcs8(public.algorithm(), &keyring.open(&key_purpose(&kid), &sealed)?)?;
                if *key.public() != public {
                    return Err(altered());
                }
                Some(key)
            };
            if public.kid.as_deref() != Some(&*kid) || public.thumbprint() != kid {
                return Err(altered());
            }
            keys.push(Held { kid, public: Arc::new(public), life, signing });
        }
        Ok(Self(keys))
    }

    /// The ring, or the algorithms for which there is no key to go on with.
    pub fn complete(self) -> Result<Ring, Vec<Algorithm>> {
        let last = |alg| self.0.iter().filter(|held| held.goes_on(alg)).find_map(|held| held.signing.clone());
        match (last(Algorithm::EdDsa), last(Algorithm::Es256)) {
            (Some(ed25519), Some(p256)) => Ok(Ring { held: self.0, ed25519, p256 }),
            _ => Err(ALGORITHMS.into_iter().filter(|alg| last(*alg).is_none()).collect()),
        }
    }
}

impl Ring {
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Held, &Held)| a.kid == b.kid && a.life == b.life && a.signing.is_some() == b.signing.is_some();
        self.held.len() == other.held.len() && self.held.iter().zip(&other.held).all(same)
    }

    /// The key that signs. On a clock that is behind the one that made the first key, that key signs all the same.
    pub fn signer(&self, alg: Algorithm, now: Timestamp) -> &SigningKey {
        let signing = self.held.iter().filter(|held| held.public.algorithm() == alg && held.life.state(now) == KeyState::Signing);
        let newest = signing.max_by_key(|held| held.life.signs_from).and_then(|held| held.signing.as_ref());
        newest.unwrap_or(match alg {
            Algorithm::EdDsa => &self.ed25519,
            Algorithm::Es256 => &self.p256,
        })
    }

    pub fn published(&self, now: Timestamp) -> impl Iterator<Item = (&Jwk, KeyLife)> {
        self.held.iter().filter(move |held| held.life.state(now) != KeyState::Left).map(|held| (&*held.public, held.life))
    }

    pub fn kept(&self) -> impl Iterator<Item = &Jwk> {
        self.held.iter().map(|held| &*held.public)
    }

    pub fn of_tokens(&self, kid: &str, now: Timestamp) -> Option<Arc<Jwk>> {
        self.held.iter().find(|held| held.kid == kid && held.life.has_tokens(now)).map(|held| held.public.clone())
    }
}

impl Held {
    /// Whether it has no end yet: of each algorithm one key has none.
    fn goes_on(&self, alg: Algorithm) -> bool {
        self.public.algorithm() == alg && self.life.retired_at.is_none() && self.signing.is_some()
    }
}

/// Makes a key that signs from then on, and answers its name.
pub(super) fn add(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, alg: Algorithm, signs_from: Timestamp) -> Result<String, KeysError> {
    let key = SigningKey::generate(alg)?;
    let kid = key.public().thumbprint();
    let sealed = keyring.seal(env, &key_purpose(&kid), key.pkcs8().expose())?;
    let (public, now) = (serde_json::json!(key.public()), env.now());
    let begun_at = (signs_from <= now).then_some(now);
    let insert = "insert into signing_key (kid, sealed, public, created_at, signs_from, begun_at) values ($1, $2, $3, $4, $5, $6)";
    tx.execute(insert, params![kid, sealed, public, now, signs_from, begun_at])?;
    Ok(kid)
}

/// What is sealed of a key that has left: its public half, so that nobody can show another under its name.
pub(super) fn seal_left(env: &Env, keyring: &Keyring, held: &Held) -> Result<Vec<u8>, KeysError> {
    Ok(keyring.seal(env, &left_purpose(&held.kid), held.public.public_bytes())?)
}

fn key_purpose(kid: &str) -> String {
    format!("signing-key/{kid}")
}

fn left_purpose(kid: &str) -> String {
    format!("signing-key-left/{kid}")
}
