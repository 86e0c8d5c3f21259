//! The mark of a browser that signed in with an address before: whoever asks for codes in the address's name from elsewhere
//! cannot use up what this browser may ask for. It opens nothing: a code is still needed.

use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_values::name::Email;
use purser_values::{Env, Secret, Timestamp};

use crate::limits::KNOWN_BROWSER_LIFE_S;
use crate::realm::CodeKey;

/// `number.seconds.mac`; the address is in it only through the MAC.
pub fn mark(key: &CodeKey, env: &Env, email: &Email) -> Secret<String> {
    let (number, since) = (b64url(&env.bytes::<16>()), env.now().as_secs().to_string());
    let mac = mac(key, email, &number, &since);
    Secret::new(format!("{number}.{since}.{mac}"))
}

/// The browser's number, if the mark is ours, for this address, and not too old.
pub fn number<'a>(key: &CodeKey, now: Timestamp, email: &Email, mark: &'a str) -> Option<&'a str> {
    let mut parts = mark.splitn(3, '.');
    let (number, since, given) = (parts.next()?, parts.next()?, parts.next()?);
    if !constant_time_eq(mac(key, email, number, since).as_bytes(), given.as_bytes()) {
        return None;
    }
    let until = Timestamp::from_secs(since.parse().ok()?).plus_secs(KNOWN_BROWSER_LIFE_S);
    (now < until).then_some(number)
}

fn mac(key: &CodeKey, email: &Email, number: &str, since: &str) -> String {
    b64url(&key.mac("known-browser", &[email.as_str(), number, since]))
}
