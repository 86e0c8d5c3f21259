//! The mark of a browser that signed in with an address before: whoever asks for codes in the address's name from elsewhere
//! cannot use up what this browser may ask for.
//!
//! It opens nothing: a code is still needed. It is `number.seconds.mac`, and names the address only through its MAC.

use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_values::name::Email;
use purser_values::{Env, Secret, Timestamp};

use crate::keys::Keys;
use crate::limits::KNOWN_BROWSER_LIFE_S;

/// A mark for the browser that has just signed in.
pub fn mark(keys: &Keys, env: &Env, email: &Email) -> Secret<String> {
    let (number, since) = (b64url(&env.bytes::<16>()), env.now().as_secs().to_string());
    let mac = mac(keys, email, &number, &since);
    Secret::new(format!("{number}.{since}.{mac}"))
}

/// The browser's number, if the mark is ours, for this address, and not too old.
pub fn number<'a>(keys: &Keys, now: Timestamp, email: &Email, mark: &'a str) -> Option<&'a str> {
    let mut parts = mark.splitn(3, '.');
    let (number, since, given) = (parts.next()?, parts.next()?, parts.next()?);
    if !constant_time_eq(mac(keys, email, number, since).as_bytes(), given.as_bytes()) {
        return None;
    }
    let until = Timestamp::from_secs(since.parse().ok()?).plus_secs(KNOWN_BROWSER_LIFE_S);
    (now < until).then_some(number)
}

fn mac(keys: &Keys, email: &Email, number: &str, since: &str) -> String {
    b64url(&keys.mac("known-browser", &[email.as_str(), number, since]))
}
