//! The keys of zones: made, sealed, kept in the database, taken out into memory to sign.
//!
//! INVARIANT (one-active): a signed zone has exactly one active key. All others only appear beside it, to be learnt or to be forgotten.

use base64::Engine as _;
use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{Algorithm, DigestType, DnsSecError, PublicKeyBuf, SigningKey as _};
use purser_crypto::seal::{Keyring, SealError};
use purser_db::{DbError, Row, Tx, params};
use purser_values::name::DomainName;
use purser_values::{Env, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::snapshot::wire_name;
use crate::zone::{Zone, ZoneError};
use crate::{dnssec, store};

/// Zone key and secure entry point: the one key is both.
const FLAGS: u16 = 257;
/// Tries to find a key whose tag the zone does not have yet.
const TRIES: usize = 16;

/// What a key does for its zone (RFC 7583).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is shown, so that resolvers learn it, and signs the keys only.
    Published,
    /// It signs everything.
    Active,
    /// It is shown as long as signatures of it may be remembered, and signs the keys only.
    Retired,
}

/// A key without its secret half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub tag: u16,
    /// The point of the curve, 64 bytes.
    pub public: Vec<u8>,
    pub state: KeyState,
    pub since: Timestamp,
}

/// What the parent zone says about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ds {
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    /// Upper-case hexadecimal.
    pub digest: String,
}

/// Whether a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Off,
    /// Signed; the parent may say so from this moment on.
    On {
        parent_from: Timestamp,
    },
    /// Still signed, until everybody forgot the parent's word.
    Ending {
        since: Timestamp,
    },
}

/// Why a zone's keys are not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Zone(#[from] ZoneError),
    #[error(transparent)]
    Store(#[from] DbError),
    #[error("a key cannot be sealed or opened: {0}")]
    Seal(#[from] SealError),
    #[error("a key cannot be made or used: {0}")]
    Crypto(#[from] DnsSecError),
    #[error("no key could be made whose tag is free")]
    Tag,
}

impl KeyState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for KeyState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        [Self::Published, Self::Active, Self::Retired].into_iter().find(|k| k.as_str() == s).ok_or_else(|| format!("`{s}` is no state"))
    }
}

impl Key {
    pub(crate) fn dnskey(&self) -> DNSKEY {
        DNSKEY::with_flags(FLAGS, PublicKeyBuf::new(self.public.clone(), Algorithm::ECDSAP256SHA256))
    }

    /// The key as people write it.
    #[must_use]
    pub fn public_base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.public)
    }

    /// What the parent says about this key of this zone.
    ///
    /// # Errors
    /// When the digest cannot be made, which a key of ours rules out.
    pub fn ds(&self, zone: &DomainName) -> Result<Ds, KeysError> {
        let name = wire_name(zone.as_str()).map_err(DnsSecError::from)?;
        let digest = self.dnskey().to_digest(&name, DigestType::SHA256).map_err(DnsSecError::from)?;
        Ok(Ds {
            key_tag: self.tag,
            algorithm: Algorithm::ECDSAP256SHA256.into(),
            digest_type: DigestType::SHA256.into(),
            digest: hex::encode_upper(digest.as_ref()),
        })
    }
}

/// Signs the zone from now on. The parent may say so when everybody forgot what they learnt unsigned.
///
/// # Errors
/// When the key cannot be made, sealed or stored.
pub fn zone_sign(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, zone: &Zone) -> Result<(), KeysError> {
    let now = env.now();
    match signing(tx, zone)? {
        Signing::On { .. } => return Ok(()),
        // Nobody noticed that it was to end: the keys are still there and known.
        Signing::Ending { .. } => set_signing(tx, zone, "on", now)?,
        Signing::Off => {
            key_make(tx, env, keyring, zone, KeyState::Active)?;
            let longest = store::longest_ttl(tx, &zone.name)?.max(dnssec::KEY_TTL_S);
            set_signing(tx, zone, "on", now.plus_secs(longest.into()))?;
        }
    }
    Ok(store::touch(tx, zone, now)?)
}

/// Lets the zone become unsigned: the parent is told to forget the keys at once, the signatures stay until it surely has.
///
/// # Errors
/// When the store fails.
pub fn zone_unsign(tx: &mut Tx<'_>, now: Timestamp, zone: &Zone) -> Result<(), KeysError> {
    if let Signing::On { .. } = signing(tx, zone)? {
        if pushed(tx, zone)?.ds.is_empty() {
            return Ok(forget_keys(tx, zone, now)?);
        }
        set_signing(tx, zone, "ending", now)?;
        store::touch(tx, zone, now)?;
    }
    Ok(())
}

/// Whether the zone is signed.
///
/// # Errors
/// When the store fails.
pub fn signing(tx: &mut Tx<'_>, zone: &Zone) -> Result<Signing, DbError> {
    let row = tx.query_one("select signing, signing_at from dns_zone where name = $1", params![zone.name])?;
    let at = row.get::<Option<Timestamp>>("signing_at")?.unwrap_or(zone.created_at);
    Ok(match row.get::<Option<String>>("signing")?.as_deref() {
        Some("on") => Signing::On { parent_from: at },
        Some("ending") => Signing::Ending { since: at },
        _ => Signing::Off,
    })
}

/// What the parent should say now: nothing until it may, then the keys that everybody could have learnt and that go on.
///
/// # Errors
/// When the store fails.
pub fn zone_ds(tx: &mut Tx<'_>, now: Timestamp, zone: &Zone) -> Result<Vec<Ds>, KeysError> {
    match signing(tx, zone)? {
        Signing::On { parent_from } if now >= parent_from => {}
        _ => return Ok(Vec::new()),
    }
    let known = |key: &Key| match key.state {
        KeyState::Active => true,
        KeyState::Published => now >= key.since.plus_secs(i64::from(dnssec::KEY_TTL_S)),
        KeyState::Retired => false,
    };
    keys(tx, zone)?.iter().filter(|key| known(key)).map(|key| key.ds(&zone.name)).collect()
}

/// What the parent was last told, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub ds: Vec<Ds>,
    pub at: Option<Timestamp>,
}

/// # Errors
/// When the store fails.
pub fn pushed(tx: &mut Tx<'_>, zone: &Zone) -> Result<Pushed, DbError> {
    let row = tx.query_one("select ds_pushed, ds_pushed_at from dns_zone where name = $1", params![zone.name])?;
    let there = row.get::<Option<String>>("ds_pushed")?.is_some();
    Ok(Pushed { ds: if there { row.json("ds_pushed")? } else { Vec::new() }, at: row.get("ds_pushed_at")? })
}

/// The zones of which the parent says something else than it should, with what it should say. Whoever can tell the parent does, and then
/// says so with [`zone_ds_pushed`].
///
/// # Errors
/// When the store fails.
pub fn zone_ds_due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(Zone, Vec<Ds>)>, KeysError> {
    let mut due = Vec::new();
    for zone in store::signed_zones(tx)? {
        let wanted = zone_ds(tx, now, &zone)?;
        if pushed(tx, &zone)?.ds != wanted {
            due.push((zone, wanted));
        }
    }
    Ok(due)
}

/// The parent says this now.
///
/// # Errors
/// When the store fails.
pub fn zone_ds_pushed(tx: &mut Tx<'_>, now: Timestamp, zone: &Zone, ds: &[Ds]) -> Result<(), DbError> {
    let sql = "update dns_zone set ds_pushed = $2, ds_pushed_at = $3 where name = $1";
    tx.execute(sql, params![zone.name, serde_json::json!(ds), now]).map(drop)
}

/// The zone's keys, the oldest first.
///
/// # Errors
/// When the store fails.
pub fn keys(tx: &mut Tx<'_>, zone: &Zone) -> Result<Vec<Key>, DbError> {
    tx.query("select * from dns_key where zone = $1 order by since, tag", params![zone.name])?.iter().map(read_key).collect()
}

pub(crate) fn key_make(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, zone: &Zone, state: KeyState) -> Result<Key, KeysError> {
    let there: Vec<u16> = keys(tx, zone)?.iter().map(|key| key.tag).collect();
    for _ in 0..TRIES {
        let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256)?;
        let secret = Secret::new(pkcs8.secret_pkcs8_der().to_vec());
        let public = open(&secret)?.to_public_key()?;
        let tag = DNSKEY::with_flags(FLAGS, public.clone()).calculate_key_tag().map_err(DnsSecError::from)?;
        if there.contains(&tag) {
            continue;
        }
        let key = Key { tag, public: hickory_proto::dnssec::PublicKey::public_bytes(&public).to_vec(), state, since: env.now() };
        let sealed = keyring.seal(env, &aad(&zone.id, tag), secret.expose())?;
        tx.execute(
            "insert into dns_key (zone, tag, public, sealed, state, since) values ($1, $2, $3, $4, $5, $6)",
            params![zone.name, i64::from(tag), key.public, sealed, state.as_str(), key.since],
        )?;
        return Ok(key);
    }
    Err(KeysError::Tag)
}

pub(crate) fn set_state(tx: &mut Tx<'_>, zone: &Zone, tag: u16, state: KeyState, now: Timestamp) -> Result<(), DbError> {
    let sql = "update dns_key set state = $3, since = $4 where zone = $1 and tag = $2";
    tx.execute(sql, params![zone.name, i64::from(tag), state.as_str(), now]).map(drop)
}

pub(crate) fn remove(tx: &mut Tx<'_>, zone: &Zone, tag: u16) -> Result<(), DbError> {
    tx.execute("delete from dns_key where zone = $1 and tag = $2", params![zone.name, i64::from(tag)]).map(drop)
}

pub(crate) fn forget_keys(tx: &mut Tx<'_>, zone: &Zone, now: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from dns_key where zone = $1", params![zone.name])?;
    tx.execute(
        "update dns_zone set signing = null, signing_at = null, ds_pushed = null, ds_pushed_at = null where name = $1",
        params![zone.name],
    )?;
    store::touch(tx, zone, now)
}

/// The keys with their secret halves, as they are in the database.
pub(crate) fn sealed_keys(tx: &mut Tx<'_>, zone: &Zone) -> Result<Vec<(Key, Vec<u8>)>, DbError> {
    let rows = tx.query("select * from dns_key where zone = $1 order by since, tag", params![zone.name])?;
    rows.iter().map(|row| Ok((read_key(row)?, row.get("sealed")?))).collect()
}

/// Opens a secret half.
pub(crate) fn unseal(keyring: &Keyring, zone: &Zone, key: &Key, sealed: &[u8]) -> Result<EcdsaSigningKey, KeysError> {
    open(&keyring.open(&aad(&zone.id, key.tag), sealed)?)
}

fn open(secret: &Secret<Vec<u8>>) -> Result<EcdsaSigningKey, KeysError> {
    Ok(EcdsaSigningKey::from_pkcs8(&secret.expose().as_slice().into(), Algorithm::ECDSAP256SHA256)?)
}

fn aad(zone: &str, tag: u16) -> String {
    format!("dns-key/{zone}/{tag}")
}

fn set_signing(tx: &mut Tx<'_>, zone: &Zone, signing: &str, at: Timestamp) -> Result<(), DbError> {
    tx.execute("update dns_zone set signing = $2, signing_at = $3 where name = $1", params![zone.name, signing, at]).map(drop)
}

fn read_key(row: &Row) -> Result<Key, DbError> {
    let tag: i64 = row.get("tag")?;
    let tag = u16::try_from(tag).unwrap_or_default();
    Ok(Key { tag, public: row.get("public")?, state: row.parse("state")?, since: row.get("since")? })
}
