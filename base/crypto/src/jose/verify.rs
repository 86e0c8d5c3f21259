//! Reading and verifying a compact JWS.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Algorithm, Jwk};
use crate::encoding::b64url_decode;

/// Longest token that is parsed, in bytes.
const TOKEN_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    #[error("the token is not a compact JWS")]
    Form,
    #[error("the token's header is not acceptable")]
    Header,
    #[error("the token is of another type")]
    Type,
    #[error("the signature does not match")]
    Signature,
    #[error("the claims are not what this token needs")]
    Claims,
    #[error("the key cannot be used")]
    Key,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub alg: String,
    typ: Option<String>,
    pub kid: Option<String>,
    jwk: Option<Jwk>,
    crit: Option<serde_json::Value>,
}

/// What a token says, before or after its signature was checked.
#[derive(Debug)]
pub struct Verified<T> {
    pub claims: T,
    pub kid: Option<String>,
    /// The key in the header, when there is one.
    pub jwk: Option<Jwk>,
}

/// Checks signature and `typ` (compared without case) and reads the claims.
///
/// # Errors
/// When any part is malformed, the type differs, the algorithm is not the key's, or the signature does not match.
pub fn verify<T: DeserializeOwned>(token: &str, typ: &str, key: &Jwk) -> Result<Verified<T>, JoseError> {
    verify_as(token, |found| is_type(found, typ), key)
}

/// [`verify`] for tokens of others that may say no `typ`: client assertions (RFC 7523) and ID tokens. One that says a type must say
/// one of `types`.
///
/// # Errors
/// As [`verify`].
pub fn verify_untyped<T: DeserializeOwned>(token: &str, types: &[&str], key: &Jwk) -> Result<Verified<T>, JoseError> {
    verify_as(token, |found| is_one_or_none(found, types), key)
}

fn verify_as<T: DeserializeOwned>(token: &str, typ: impl Fn(Option<&str>) -> bool, key: &Jwk) -> Result<Verified<T>, JoseError> {
    Unverified::read_as(token, typ)?.verify(key)
}

/// A token that was taken apart and whose signature was **not** checked: to learn which key to check it with, and then to check it.
pub struct Unverified<'a> {
    parts: Parts<'a>,
    header: Header,
}

impl<'a> Unverified<'a> {
    /// # Errors
    /// When the token is malformed or of another type.
    pub fn read(token: &'a str, typ: &str) -> Result<Self, JoseError> {
        Self::read_as(token, |found| is_type(found, typ))
    }

    fn read_as(token: &'a str, typ: impl Fn(Option<&str>) -> bool) -> Result<Self, JoseError> {
        let parts = split(token)?;
        let header = header(&parts, typ)?;
        Ok(Self { parts, header })
    }

    /// The name of the key that it claims to be signed with.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The key in its header, when there is one.
    #[must_use]
    pub fn jwk(&self) -> Option<&Jwk> {
        self.header.jwk.as_ref()
    }

    /// Checks the signature and reads the claims.
    ///
    /// # Errors
    /// When the algorithm is not the key's, the signature does not match, or the claims are others.
    pub fn verify<T: DeserializeOwned>(self, key: &Jwk) -> Result<Verified<T>, JoseError> {
        if !key.algorithm().is_named(&self.header.alg) {
            return Err(JoseError::Header);
        }
        verify_bytes(key, self.parts.signed.as_bytes(), &self.parts.signature)?;
        read(self.parts, self.header)
    }
}

/// Reads a token whose signature was **not** checked: only to learn which key to check it with.
///
/// # Errors
/// When any part is malformed or the type differs.
pub fn decode_unverified<T: DeserializeOwned>(token: &str, typ: &str) -> Result<Verified<T>, JoseError> {
    let parts = split(token)?;
    let header = header(&parts, |found| is_type(found, typ))?;
    read(parts, header)
}

/// [`decode_unverified`] for tokens that may say no `typ`.
///
/// # Errors
/// As [`decode_unverified`].
pub fn decode_unverified_untyped<T: DeserializeOwned>(token: &str, types: &[&str]) -> Result<Verified<T>, JoseError> {
    let parts = split(token)?;
    let header = header(&parts, |found| is_one_or_none(found, types))?;
    read(parts, header)
}

fn is_type(found: Option<&str>, typ: &str) -> bool {
    found.is_some_and(|found| found.eq_ignore_ascii_case(typ))
}

pub(super) fn is_one_or_none(found: Option<&str>, types: &[&str]) -> bool {
    found.is_none_or(|found| types.iter().any(|typ| found.eq_ignore_ascii_case(typ)))
}

/// Checks a bare signature.
///
/// # Errors
/// When the signature does not match.
pub fn verify_bytes(key: &Jwk, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
    let checked = match key.algorithm() {
        Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, key.public_bytes()).verify(message, signature),
        Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_bytes()).verify(message, signature),
    };
    checked.map_err(|_| JoseError::Signature)
}

pub(super) struct Parts<'a> {
    header: Vec<u8>,
    claims: Vec<u8>,
    pub signature: Vec<u8>,
    pub signed: &'a str,
}

pub(super) fn split(token: &str) -> Result<Parts<'_>, JoseError> {
    if token.len() > TOKEN_BYTES {
        return Err(JoseError::Form);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JoseError::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(JoseError::Form)?;
    let decode = |text| b64url_decode(text).ok_or(JoseError::Form);
    Ok(Parts { header: decode(header)?, claims: decode(claims)?, signature: decode(signature)?, signed })
}

pub(super) fn header(parts: &Parts<'_>, typ: impl Fn(Option<&str>) -> bool) -> Result<Header, JoseError> {
    let header: Header = serde_json::from_slice(&parts.header).map_err(|_| JoseError::Header)?;
    if header.crit.is_some() {
        return Err(JoseError::Header);
    }
    if typ(header.typ.as_deref()) { Ok(header) } else { Err(JoseError::Type) }
}

pub(super) fn read<T: DeserializeOwned>(parts: Parts<'_>, header: Header) -> Result<Verified<T>, JoseError> {
    let claims = serde_json::from_slice(&parts.claims).map_err(|_| JoseError::Claims)?;
    Ok(Verified { claims, kid: header.kid, jwk: header.jwk })
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_was_signed_verifies_with_the_same_key_and_type_only() {
        for alg in [Algorithm::EdDsa, Algorithm::Es256] {
            let key = SigningKey::generate(alg).unwrap();
            let other = SigningKey::generate(alg).unwrap();
            let token = key.sign("at+jwt", &json!({"sub": "agt"})).unwrap();
            assert_eq!(verify::<Value>(&token, "AT+JWT", key.public()).unwrap().claims["sub"], "agt");
            assert_eq!(verify::<Value>(&token, "dpop+jwt", key.public()).unwrap_err(), JoseError::Type);
            assert_eq!(verify::<Value>(&token, "at+jwt", other.public()).unwrap_err(), JoseError::Signature);
        }
    }

    #[test]
    fn a_type_may_be_left_out_only_where_the_reader_says_so() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let with = |header: Value| {
            let signed = format!("{}.{}", crate::encoding::b64url(header.to_string().as_bytes()), crate::encoding::b64url(b"{}"));
            format!("{signed}.{}", crate::encoding::b64url(&key.sign_bytes(signed.as_bytes()).unwrap()))
        };
        let (bare, typed) = (with(json!({"alg": "EdDSA"})), with(json!({"alg": "Ed25519", "typ": "JWT"})));
        assert!(verify_untyped::<Value>(&bare, &["JWT"], key.public()).is_ok());
        assert!(verify_untyped::<Value>(&typed, &["jwt"], key.public()).is_ok());
        assert_eq!(verify::<Value>(&bare, "JWT", key.public()).unwrap_err(), JoseError::Type);
        assert_eq!(verify_untyped::<Value>(&typed, &["dpop+jwt"], key.public()).unwrap_err(), JoseError::Type);
    }

    #[test]
    fn a_header_that_names_another_algorithm_is_refused() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let body = crate::encoding::b64url(b"{}");
        for header in [
            json!({"alg": "none", "typ": "JWT"}),
            json!({"alg": "HS256", "typ": "JWT"}),
            json!({"alg": "EdDSA", "typ": "JWT", "crit": ["x"]}),
        ] {
            let token = format!("{}.{body}.", crate::encoding::b64url(header.to_string().as_bytes()));
            assert!(verify::<Value>(&token, "JWT", key.public()).is_err(), "{header} was taken");
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let token = key.sign("JWT", &json!({"a": 1})).unwrap();
        for i in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert!(verify::<Value>(std::str::from_utf8(&bytes).unwrap(), "JWT", key.public()).is_err(), "character {i}");
        }
    }
}
