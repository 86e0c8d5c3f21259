//! The browser, for what waits while its person signs in: a cookie of its own, whose digest is kept with what waits.

use http::{HeaderMap, HeaderValue};
use purser_crypto::encoding;
use purser_identity::limits::AUTHORIZATION_LIFE_S;
use purser_values::Sha256Digest;

use super::cookie;
use crate::front::Front;

/// Characters of the cookie: 256 random bits in base64url.
const CHARS: usize = 43;

/// The digest of this browser's cookie, and the cookie to set where it is new.
pub fn of(front: &Front, headers: &HeaderMap) -> (Sha256Digest, Option<HeaderValue>) {
    if let Some(known) = known(front, headers) {
        return (known, None);
    }
    let value = encoding::b64url(&front.realm.env.bytes::<32>());
    let digest = Sha256Digest::of(value.as_bytes());
    (digest, cookie::set(front, cookie::AUTHORIZATION, &value, 4 * AUTHORIZATION_LIFE_S))
}

/// The digest of the cookie that the browser has, if it has one.
pub fn known(front: &Front, headers: &HeaderMap) -> Option<Sha256Digest> {
    let value = cookie::read(front, headers, cookie::AUTHORIZATION).filter(|value| value.expose().len() == CHARS)?;
    Some(Sha256Digest::of(value.expose().as_bytes()))
}
