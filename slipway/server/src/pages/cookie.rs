//! Cookies: `HttpOnly`, `SameSite=Lax`, and on https with the `__Host-` prefix, so that no other host and no plain connection can
//! set them.

use http::{HeaderMap, HeaderValue, header};
use purser_values::Secret;

use crate::cloud::Cloud;

/// The signed-in session.
pub const SESSION: &str = "session";
/// The sign-in that waits for its code.
pub const ATTEMPT: &str = "sign-in";
/// The mark of a browser that signed in before.
pub const KNOWN: &str = "known";
/// The browser, for the forms before sign-in.
pub const FORM: &str = "form";

fn name(cloud: &Cloud, short: &str) -> String {
    let prefix = if cloud.public_url.scheme() == "https" { "__Host-" } else { "" };
    format!("{prefix}slipway-{short}")
}

/// The value of one of our cookies.
pub fn read(cloud: &Cloud, headers: &HeaderMap, short: &str) -> Option<Secret<String>> {
    let name = name(cloud, short);
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == name).map(|(_, v)| v);
    values.next().map(|v| Secret::new(v.to_owned()))
}

/// A `Set-Cookie` value. Ours are base 62, base64url and full stops, which need no quoting.
pub fn set(cloud: &Cloud, short: &str, value: &str, life_s: i64) -> Option<HeaderValue> {
    let secure = if cloud.public_url.scheme() == "https" { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}", name(cloud, short));
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

pub fn clear(cloud: &Cloud, short: &str) -> Option<HeaderValue> {
    set(cloud, short, "", 0)
}
