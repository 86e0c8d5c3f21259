//! Private keys and signing.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, Signature};
use purser_values::Secret;
use serde::Serialize;

use super::{JoseError, Jwk};
use crate::encoding::{encoded_len, push_b64url};

/// The signature algorithms we make and take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
    Es256,
}

impl Algorithm {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// Whether a header's `alg` is this algorithm. RFC 9864 calls Ed25519 by its own name; what was `EdDSA` before still is.
    #[must_use]
    pub fn is_named(self, name: &str) -> bool {
        name == self.name() || (self == Self::EdDsa && name == "Ed25519")
    }
}

/// Bytes of a signature with both.
const SIGNATURE_BYTES: usize = 64;

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
}

/// A private key with its public half. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    pair: Pair,
    pkcs8: Secret<Vec<u8>>,
    public: Jwk,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.0.public.thumbprint())
    }
}

impl SigningKey {
    /// A fresh key from the system's generator.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn generate(alg: Algorithm) -> Result<Self, JoseError> {
        let rng = SystemRandom::new();
        let document = match alg {
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&rng).map_err(|_| JoseError::Key)?.as_ref().to_vec(),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).map_err(|_| JoseError::Key)?.as_ref().to_vec()
            }
        };
        Self::from_pkcs8(alg, &Secret::new(document))
    }

    /// Reads a PKCS #8 document of the given algorithm.
    ///
    /// # Errors
    /// When the document holds no such key.
    pub fn from_pkcs8(alg: Algorithm, pkcs8: &Secret<Vec<u8>>) -> Result<Self, JoseError> {
        let (pair, public) = match alg {
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| JoseError::Key)?;
                let public = pair.public_key().as_ref().to_vec();
                (Pair::Ed25519(pair), public)
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose()).map_err(|_| JoseError::Key)?;
                let public = pair.public_key().as_ref().to_vec();
                (Pair::P256(pair), public)
            }
        };
        let mut public = Jwk { alg, public, kid: None };
        public.kid = Some(public.thumbprint());
        Ok(Self(Arc::new(Inner { pair, pkcs8: pkcs8.clone(), public })))
    }

    /// The private key as PKCS #8, for sealing or for a file of mode 0600.
    #[must_use]
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.0.pkcs8
    }

    /// The public half; its `kid` is its thumbprint.
    #[must_use]
    pub fn public(&self) -> &Jwk {
        &self.0.public
    }

    /// A compact JWS over `claims` with `typ` and the key's `kid` in the header.
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        self.sign_with_header(&Header { typ, alg: self.0.public.alg.name(), kid: self.0.public.kid.as_deref(), jwk: None }, claims)
    }

    /// A compact JWS whose header carries the public key itself, as DPoP proofs do (RFC 9449, 4.2).
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign_with_jwk(&self, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        let jwk = Jwk { kid: None, ..self.0.public.clone() };
        self.sign_with_header(&Header { typ, alg: self.0.public.alg.name(), kid: None, jwk: Some(&jwk) }, claims)
    }

    /// The bare signature over bytes (64 bytes with both algorithms).
    ///
    /// # Errors
    /// When the generator fails (ES256 only).
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        Ok(self.signature(message)?.as_ref().to_vec())
    }

    fn signature(&self, message: &[u8]) -> Result<Signature, JoseError> {
        match &self.0.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message)),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).map_err(|_| JoseError::Key),
        }
    }

    fn sign_with_header(&self, header: &Header<'_>, claims: &impl Serialize) -> Result<String, JoseError> {
        let header = serde_json::to_vec(header).map_err(|_| JoseError::Header)?;
        let claims = serde_json::to_vec(claims).map_err(|_| JoseError::Claims)?;
        let mut text = String::with_capacity(encoded_len(header.len()) + encoded_len(claims.len()) + encoded_len(SIGNATURE_BYTES) + 2);
        push_b64url(&mut text, &header);
        text.push('.');
        push_b64url(&mut text, &claims);
        let signature = self.signature(text.as_bytes())?;
        text.push('.');
        push_b64url(&mut text, signature.as_ref());
        Ok(text)
    }
}
