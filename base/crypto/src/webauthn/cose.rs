//! Public keys of credentials as COSE keys (RFC 9052, 7; RFC 9053, 2 and 7; RFC 8230 for RSA, which Windows still makes).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use ciborium::Value;

use super::WebauthnError;

const KEY_TYPE: i64 = 1;
const ALGORITHM: i64 = 3;
/// The curve, or the modulus of RSA.
const FIRST: i64 = -1;
/// The x coordinate, or the exponent of RSA.
const SECOND: i64 = -2;
const THIRD: i64 = -3;

/// The algorithms that are asked for, best first, by their COSE numbers.
pub const ALGORITHMS: [i64; 3] = [-8, -7, -257];

/// A credential's public key, with the bytes that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    cose: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519(Vec<u8>),
    /// The uncompressed point.
    P256(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// A key that was kept.
    ///
    /// # Errors
    /// When the bytes are no key that is taken, or more than one.
    pub fn from_cose(mut bytes: &[u8]) -> Result<Self, WebauthnError> {
        let key = Self::read(&mut bytes)?;
        if bytes.is_empty() { Ok(key) } else { Err(WebauthnError::Form) }
    }

    /// The bytes to keep.
    #[must_use]
    pub fn cose(&self) -> &[u8] {
        &self.cose
    }

    /// The COSE numbers of the algorithms that are taken, best first: EdDSA, ES256, RS256.
    #[must_use]
    pub const fn algorithms() -> [i64; 3] {
        ALGORITHMS
    }

    /// Reads one key and leaves what follows it.
    pub(super) fn read(rest: &mut &[u8]) -> Result<Self, WebauthnError> {
        let before = *rest;
        let value: Value = ciborium::from_reader(&mut *rest).map_err(|_| WebauthnError::Form)?;
        let cose = before.get(..before.len() - rest.len()).ok_or(WebauthnError::Form)?.to_vec();
        let Value::Map(entries) = value else { return Err(WebauthnError::Form) };
        let entry = |label: i64| {
            let mut found = entries.iter().filter(|(name, _)| name.as_integer() == Some(label.into())).map(|(_, value)| value);
            match (found.next(), found.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(WebauthnError::Key),
            }
        };
        let number = |label| entry(label)?.as_integer().and_then(|n| i64::try_from(n).ok()).ok_or(WebauthnError::Key);
        let bytes = |label| entry(label)?.as_bytes().cloned().ok_or(WebauthnError::Key);
        let coordinate = |label| bytes(label).and_then(|b| if b.len() == 32 { Ok(b) } else { Err(WebauthnError::Key) });
        let kind = match (number(KEY_TYPE)?, number(ALGORITHM)?) {
            (1, -8) if number(FIRST)? == 6 => Kind::Ed25519(coordinate(SECOND)?),
            (2, -7) if number(FIRST)? == 1 => Kind::P256([vec![4], coordinate(SECOND)?, coordinate(THIRD)?].concat()),
            (3, -257) => Kind::Rsa { n: bytes(FIRST)?, e: bytes(SECOND)? },
            _ => return Err(WebauthnError::Key),
        };
        Ok(Self { cose, kind })
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebauthnError> {
        let checked = match &self.kind {
            Kind::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Kind::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
            Kind::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        checked.map_err(|_| WebauthnError::Signature)
    }
}
