//! Base64url without padding (RFC 4648 section 5), the only base 64 on our wires.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

#[must_use]
pub fn b64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes, or nothing when the text is not canonical base64url without padding.
#[must_use]
pub fn b64url_decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Adds them to a text.
pub fn push_b64url(text: &mut String, bytes: &[u8]) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// Characters that so many bytes become.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}
