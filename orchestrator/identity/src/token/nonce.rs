//! Nonces for DPoP proofs (RFC 9449, 8 and 9): a proof with one was made just now, not ahead of time by who once held the key.
//!
//! Nothing is kept: a nonce is the MAC of its window of time under a secret that all nodes share. By default it is offered and
//! not demanded, because a proof counts once here in any case and many clients know no nonces; the operator can demand it.

use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_values::Timestamp;

use crate::limits::DPOP_NONCE_S;
use crate::realm::Realm;

/// Bytes of the MAC that make a nonce.
const BYTES: usize = 18;

/// The nonce of this moment.
#[must_use]
pub fn now(realm: &Realm) -> String {
    of(realm, window(realm.env.now()))
}

/// The number of the window of time in which [`now`] stays the same.
#[must_use]
pub fn window_now(realm: &Realm) -> i64 {
    window(realm.env.now())
}

/// Whether a nonce is of this window or the one before.
pub(super) fn is_fresh(realm: &Realm, nonce: &str) -> bool {
    let window = window(realm.env.now());
    [window, window - 1].into_iter().any(|window| constant_time_eq(nonce.as_bytes(), of(realm, window).as_bytes()))
}

const fn window(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(DPOP_NONCE_S)
}

fn of(realm: &Realm, window: i64) -> String {
    let mac = realm.keys.mac("dpop-nonce", &[&window.to_string()]);
    b64url(mac.get(..BYTES).unwrap_or(&mac))
}
