//! `Stripe-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 over `t`, a dot and the raw body (section 2.1 of the reference).
//!
//! The key is the secret's UTF-8 text as it is, including a `whsec_` prefix. We write exactly one `t` and one `v1` in lower case; we read
//! several `v1` entries (a sender that rotates its secret) and spaces, and forgive 300 s in both directions.

use purser_crypto::{constant_time_eq, mac};
use purser_values::limits::SIGNATURE_TOLERANCE_S;
use purser_values::{Secret, Timestamp};

use super::SignatureError;
use crate::limits;

/// The header value for a body.
#[must_use]
pub fn sign(secret: &Secret<String>, body: &[u8], now: Timestamp) -> String {
    let t = now.as_secs().to_string();
    format!("t={t},v1={}", hex::encode(digest(secret, &t, body)))
}

/// Checks a header value against the secrets that are valid now (two while one is being replaced).
///
/// # Errors
/// When the header is malformed, too old, too new, or made with none of the secrets over this body.
pub fn verify(secrets: &[Secret<String>], header: &str, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    if header.len() > limits::SIGNATURE_HEADER_BYTES {
        return Err(SignatureError::Malformed);
    }
    let mut time = None;
    let mut candidates = Vec::new();
    for (name, value) in header.split(',').filter_map(|part| part.trim().split_once('=')) {
        match name {
            "t" if time.is_some() => return Err(SignatureError::Malformed),
            "t" => time = Some(value),
            "v1" if candidates.len() == limits::SIGNATURES_PER_HEADER => return Err(SignatureError::Malformed),
            // a `v1` that is no MAC counts as one that does not match
            "v1" => candidates.push(hex::decode(value).ok().filter(|mac| mac.len() == 32)),
            _ => {}
        }
    }
    let t = time.ok_or(SignatureError::Malformed)?;
    if candidates.is_empty() || t.is_empty() || t.len() > 12 || !t.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SignatureError::Malformed);
    }
    let seconds: i64 = t.parse().map_err(|_| SignatureError::Malformed)?;
    if now.as_secs().abs_diff(seconds) > SIGNATURE_TOLERANCE_S.unsigned_abs() {
        return Err(SignatureError::Stale);
    }
    let mut matches = false;
    // an unset secret matches nothing, and no comparison is cut short
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        let expected = digest(secret, t, body);
        for candidate in candidates.iter().flatten() {
            matches |= constant_time_eq(&expected, candidate);
        }
    }
    if matches { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn digest(secret: &Secret<String>, t: &str, body: &[u8]) -> [u8; 32] {
    mac::hmac_sha256(secret.expose().as_bytes(), &[t.as_bytes(), b".", body])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn secret(text: &str) -> Secret<String> {
        text.to_owned().into()
    }

    fn check(header: &str, body: &[u8]) -> Result<(), SignatureError> {
        verify(&[secret("whsec_a")], header, body, NOW)
    }

    #[test]
    fn the_mac_is_the_one_that_another_implementation_computes() {
        // printf '1795000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_a
        let header = sign(&secret("whsec_a"), br#"{"a":1}"#, NOW);
        assert_eq!(header, "t=1795000000,v1=a8abaea5e6290cb90ba5cd894203415956ef49d029f2a54edaa03c66708dc5b6");
        assert_eq!(check(&header, br#"{"a":1}"#), Ok(()));
        assert_eq!(check(&header, br#"{"a":2}"#), Err(SignatureError::Mismatch));
        assert_eq!(check(&header, b""), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_clock_may_differ_by_300_seconds_in_both_directions() {
        for (offset, ok) in [(-300, true), (300, true), (-301, false), (301, false)] {
            let header = sign(&secret("whsec_a"), b"", NOW.plus_secs(offset));
            assert_eq!(check(&header, b"").is_ok(), ok, "{offset} s");
        }
    }

    #[test]
    fn any_of_several_signatures_and_secrets_is_enough() {
        let good = sign(&secret("whsec_a"), b"x", NOW);
        let mac = good.split_once("v1=").unwrap().1;
        let zero = "0".repeat(64);
        for header in [
            format!("t=1795000000,v1={mac},v1={zero}"),
            format!("t=1795000000,v1={zero},v1={mac}"),
            format!("t=1795000000, v0=ff, v1={mac}"),
            format!("v1={mac},t=1795000000"),
            format!("t=1795000000,v1={}", mac.to_uppercase()),
        ] {
            assert_eq!(check(&header, b"x"), Ok(()), "{header}");
        }
        assert_eq!(verify(&[secret("new"), secret("whsec_a")], &good, b"x", NOW), Ok(()));
        assert_eq!(verify(&[secret("new"), secret("")], &good, b"x", NOW), Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_unset_secret_matches_nothing() {
        let header = sign(&secret(""), b"x", NOW);
        assert_eq!(verify(&[secret("")], &header, b"x", NOW), Err(SignatureError::Mismatch));
        assert_eq!(verify(&[], &header, b"x", NOW), Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_is_malformed_is_refused_and_never_panics() {
        let many = format!("t=1795000000{}", format!(",v1={}", "0".repeat(64)).repeat(9));
        for header in [
            "",
            ",",
            "t",
            "t=",
            "v1=00",
            "t=abc,v1=00",
            "t=1795000000",
            "t=-1,v1=00",
            "t=99999999999999999999,v1=00",
            "t=1,t=1,v1=00",
            &many,
        ] {
            assert_eq!(check(header, b""), Err(SignatureError::Malformed), "`{header}`");
        }
        assert_eq!(check("t=1795000000,v1=abc", b""), Err(SignatureError::Mismatch));
    }
}
