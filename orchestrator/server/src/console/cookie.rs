//! Cookies: `HttpOnly`, `SameSite=Lax`, for the whole site, and on https with the `__Host-` prefix, so that no other host and no
//! plain connection can set them.

use http::{HeaderMap, HeaderValue, header};
use purser_values::Secret;

use crate::front::Front;

/// The signed-in session.
pub const SESSION: &str = "session";
/// The sign-in that waits for its code.
pub const ATTEMPT: &str = "sign-in";
/// The mark of a browser that signed in before.
pub const KNOWN: &str = "known";
/// The browser, for a client's request that waits for its person.
pub const AUTHORIZATION: &str = "authorization";
/// The browser, for the forms before sign-in.
pub const FORM: &str = "form";
/// Why a company's answer was not taken, until the page that says so.
pub const REFUSED: &str = "refused";

fn name(front: &Front, short: &str) -> String {
    if front.is_https() { format!("__Host-purser-{short}") } else { format!("purser-{short}") }
}

/// The value of one of our cookies.
pub fn read(front: &Front, headers: &HeaderMap, short: &str) -> Option<Secret<String>> {
    let name = name(front, short);
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == name).map(|(_, v)| v);
    values.next().map(|v| Secret::new(v.to_owned()))
}

/// A `Set-Cookie` value. Ours are base 62, base64url and full stops, which need no quoting.
pub fn set(front: &Front, short: &str, value: &str, life_s: i64) -> Option<HeaderValue> {
    let secure = if front.is_https() { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}", name(front, short));
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

pub fn clear(front: &Front, short: &str) -> Option<HeaderValue> {
    set(front, short, "", 0)
}
