//! Messages from provider to orchestrator: HTTP message signatures (RFC 9421) with one fixed profile.
//!
//! Covered are `@method`, `@target-uri`, `content-digest` (RFC 9530, SHA-256) and `idempotency-key`, in this order; parameters are `created`,
//! `expires` (60 s at most), `nonce`, `keyid` (JWK thumbprint), `alg="ed25519"` and `tag="app-provider"`. A message with another profile is refused, so there
//! is nothing to negotiate and little to parse. Foreign libraries read it: it is plain RFC 9421.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{self, Algorithm, Jwk, SigningKey};
use purser_values::{Env, Sha256Digest, Timestamp};

use super::SignatureError;
use crate::{header, limits};

const COMPONENTS: &str = r#"("@method" "@target-uri" "content-digest" "idempotency-key")"#;
const TAG: &str = "app-provider";
const INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";
const DIGEST: &str = "content-digest";

/// The message that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub method: &'a str,
    /// The whole address as the receiver knows it.
    pub target_uri: &'a str,
    pub idempotency_key: &'a str,
    pub body: &'a [u8],
}

/// What a signature proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedMessage {
    pub keyid: String,
    /// To be used once by the receiver and kept until `expires_at`.
    pub nonce: String,
    pub expires_at: Timestamp,
}

/// The headers to send with a message.
///
/// # Errors
/// When the key is not Ed25519.
pub fn sign(key: &SigningKey, message: Message<'_>, env: &Env) -> Result<[(&'static str, String); 4], SignatureError> {
    if key.public().algorithm() != Algorithm::EdDsa {
        return Err(SignatureError::Key);
    }
    let created = env.now().as_secs();
    let params = format!(
        r#"{COMPONENTS};created={created};expires={};nonce="{}";keyid="{}";alg="ed25519";tag="{TAG}""#,
        created + limits::MESSAGE_LIFE_S,
        b64url(&env.bytes::<16>()),
        key.public().thumbprint(),
    );
    let digest = content_digest(message.body);
    let signature = key.sign_bytes(base(message, &digest, &params).as_bytes()).map_err(|_| SignatureError::Key)?;
    Ok([
        (DIGEST, digest),
        (INPUT, format!("sig1={params}")),
        (SIGNATURE, format!("sig1=:{}:", STANDARD.encode(signature))),
        (header::IDEMPOTENCY_KEY, message.idempotency_key.to_owned()),
    ])
}

/// The key that a message says it was signed with, to look the provider up by. Nothing is proved by it.
///
/// # Errors
/// When there is no signature, or one of another profile.
pub fn claimed_key(headers: &HeaderMap) -> Result<String, SignatureError> {
    Ok(Input::parse(&one(headers, INPUT)?)?.keyid)
}

/// Checks the signature of a message that was received with `headers`.
///
/// # Errors
/// When a header is missing, doubled or of another profile, when the signature is stale or for another message, or does not match.
pub fn verify(key: &Jwk, headers: &HeaderMap, message: Message<'_>, now: Timestamp) -> Result<VerifiedMessage, SignatureError> {
    let text = one(headers, INPUT)?;
    let input = Input::parse(&text)?;
    if key.algorithm() != Algorithm::EdDsa || input.keyid != key.thumbprint() {
        return Err(SignatureError::UnknownKey);
    }
    let (now, skew) = (now.as_secs(), limits::CLOCK_SKEW_S);
    let life = input.expires.saturating_sub(input.created);
    if input.created > now + skew || input.expires <= now - skew || !(0..=limits::MESSAGE_LIFE_S).contains(&life) {
        return Err(SignatureError::Stale);
    }
    let digest = one(headers, DIGEST)?;
    if digest != content_digest(message.body) || one(headers, header::IDEMPOTENCY_KEY)? != message.idempotency_key {
        return Err(SignatureError::OtherMessage);
    }
    let signature = one(headers, SIGNATURE)?;
    let signature = signature.strip_prefix(input.label).and_then(|s| s.strip_prefix("=:")).and_then(|s| s.strip_suffix(':'));
    let signature = signature.and_then(|s| STANDARD.decode(s).ok()).ok_or(SignatureError::Malformed)?;
    jose::verify_bytes(key, base(message, &digest, input.params).as_bytes(), &signature).map_err(|_| SignatureError::Mismatch)?;
    Ok(VerifiedMessage { keyid: input.keyid, nonce: input.nonce, expires_at: Timestamp::from_secs(input.expires + skew) })
}

/// The signature base (RFC 9421, 2.5).
fn base(message: Message<'_>, content_digest: &str, params: &str) -> String {
    let Message { method, target_uri, idempotency_key, .. } = message;
    format!(
        "\"@method\": {method}\n\"@target-uri\": {target_uri}\n\"content-digest\": {content_digest}\n\"idempotency-key\": {idempotency_key}\n\"@signature-params\": {params}"
    )
}

fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256Digest::of(body).as_bytes()))
}

/// The one value of a header; a doubled header is refused, since combining its values would change what was signed.
fn one(headers: &HeaderMap, name: &str) -> Result<String, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.len() <= limits::SIGNATURE_HEADER_BYTES => {
            value.to_str().map(|v| v.trim().to_owned()).map_err(|_| SignatureError::Malformed)
        }
        (None, _) => Err(SignatureError::Missing),
        _ => Err(SignatureError::Malformed),
    }
}

struct Input<'a> {
    label: &'a str,
    params: &'a str,
    created: i64,
    expires: i64,
    nonce: String,
    keyid: String,
}

impl<'a> Input<'a> {
    fn parse(text: &'a str) -> Result<Self, SignatureError> {
        let bad = SignatureError::Malformed;
        let (label, params) = text.split_once('=').ok_or(bad)?;
        if label.is_empty() || label.len() > 32 || !label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(bad);
        }
        let mut found = [const { None }; 6];
        for part in params.strip_prefix(COMPONENTS).ok_or(bad)?.split(';').skip(1) {
            let (name, value) = part.split_once('=').ok_or(bad)?;
            let slot = ["created", "expires", "nonce", "keyid", "alg", "tag"].iter().position(|known| *known == name).ok_or(bad)?;
            if found[slot].replace(value).is_some() {
                return Err(bad);
            }
        }
        let number = |slot: usize| found[slot].and_then(|v| v.parse::<i64>().ok()).ok_or(bad);
        let string = |slot: usize| {
            let text = found[slot].and_then(|v| v.strip_prefix('"')).and_then(|v| v.strip_suffix('"')).ok_or(bad)?;
            let plain = !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
            if plain { Ok(text.to_owned()) } else { Err(bad) }
        };
        if string(4)? != "ed25519" || string(5)? != TAG {
            return Err(bad);
        }
        let nonce = string(2)?;
        if nonce.len() < 16 {
            return Err(bad);
        }
        Ok(Self { label, params, created: number(0)?, expires: number(1)?, nonce, keyid: string(3)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const MESSAGE: Message<'static> =
        Message { method: "POST", target_uri: "https://o.test/v2/provisioning/charges", idempotency_key: "charge-1", body: br#"{"a":1}"# };

    fn signed() -> (SigningKey, HeaderMap, Env) {
        let (env, _) = Env::test(Timestamp::from_secs(1_795_000_000), 4);
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let headers = sign(&key, MESSAGE, &env).unwrap();
        let headers = headers.into_iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(&v).unwrap())).collect();
        (key, headers, env)
    }

    #[test]
    fn the_content_digest_is_the_one_of_rfc_9530() {
        assert_eq!(content_digest(b"{\"hello\": \"world\"}"), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
    }

    #[test]
    fn a_message_that_another_implementation_signed_verifies() {
        // made by the Python package http-message-signatures 3.0.0 with the key of RFC 8037, A.1; it orders the parameters its own way
        let key: Jwk = serde_json::from_str(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#).unwrap();
        let params = r#"created=1795000000;keyid="kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";alg="ed25519";expires=1795000060;nonce="AAAAAAAAAAAAAAAAAAAAAA";tag="app-provider""#;
        let headers = [
            (DIGEST, "sha-256=:AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=:".to_owned()),
            (INPUT, format!("sig1={COMPONENTS};{params}")),
            (SIGNATURE, "sig1=:KUaTnXKG+bNUlsWUKEIRJclVjHPQtyVEoMIAm/GYz+ZmS/HW8WMfcDwyFcowPTR47RmFyPGCc+0E1znqYsDVAw==:".to_owned()),
            (header::IDEMPOTENCY_KEY, "charge-1".to_owned()),
        ];
        let headers = headers.into_iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(&v).unwrap())).collect();
        assert!(verify(&key, &headers, MESSAGE, Timestamp::from_secs(1_795_000_030)).is_ok());
    }

    #[test]
    fn a_message_verifies_as_it_was_sent() {
        let (key, headers, env) = signed();
        assert_eq!(claimed_key(&headers).unwrap(), key.public().thumbprint());
        let verified = verify(key.public(), &headers, MESSAGE, env.now()).unwrap();
        assert_eq!(verified.keyid, key.public().thumbprint());
        assert!(verified.expires_at > env.now());
    }

    #[test]
    fn another_method_address_body_or_key_is_noticed() {
        let (key, headers, env) = signed();
        for other in [
            Message { method: "PUT", ..MESSAGE },
            Message { target_uri: "https://o.test/v2/provisioning/events", ..MESSAGE },
            Message { body: br#"{"a":2}"#, ..MESSAGE },
            Message { idempotency_key: "charge-2", ..MESSAGE },
        ] {
            assert!(verify(key.public(), &headers, other, env.now()).is_err(), "{other:?}");
        }
        let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
        assert_eq!(verify(stranger.public(), &headers, MESSAGE, env.now()), Err(SignatureError::UnknownKey));
        assert_eq!(verify(key.public(), &headers, MESSAGE, env.now().plus_secs(91)), Err(SignatureError::Stale));
        assert_eq!(verify(key.public(), &headers, MESSAGE, env.now().plus_secs(-31)), Err(SignatureError::Stale));
    }

    #[test]
    fn changing_any_byte_of_the_signature_headers_is_noticed() {
        let (key, headers, env) = signed();
        for name in [INPUT, SIGNATURE, DIGEST] {
            let value = headers[name].to_str().unwrap().to_owned();
            for i in 0..value.len() {
                let mut bytes = value.clone().into_bytes();
                bytes[i] = if bytes[i] == b'1' { b'2' } else { b'1' };
                // the label alone is not signed; changing it in one header makes the two disagree
                let mut changed = headers.clone();
                changed.insert(HeaderName::from_static(name), HeaderValue::from_bytes(&bytes).unwrap());
                assert!(verify(key.public(), &changed, MESSAGE, env.now()).is_err(), "{name} at {i}");
            }
        }
    }

    #[test]
    fn a_doubled_header_or_a_foreign_profile_is_refused() {
        let (key, headers, env) = signed();
        let mut doubled = headers.clone();
        doubled.append(HeaderName::from_static(DIGEST), headers[DIGEST].clone());
        assert_eq!(verify(key.public(), &doubled, MESSAGE, env.now()), Err(SignatureError::Malformed));
        for input in [
            r#"sig1=("@method");created=1;keyid="a""#.to_owned(),
            headers[INPUT].to_str().unwrap().replace(";alg=\"ed25519\"", ""),
            format!("{};created=1", headers[INPUT].to_str().unwrap()),
        ] {
            let mut foreign = headers.clone();
            foreign.insert(HeaderName::from_static(INPUT), HeaderValue::from_str(&input).unwrap());
            assert_eq!(verify(key.public(), &foreign, MESSAGE, env.now()), Err(SignatureError::Malformed), "{input}");
        }
        assert_eq!(claimed_key(&HeaderMap::new()), Err(SignatureError::Missing));
    }
}
