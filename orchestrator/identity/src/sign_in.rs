//! Signing in with a code that arrives by mail.
//!
//! A code belongs to the browser that asked for it: the browser holds an attempt token, the store its digest, and the code's
//! HMAC covers both. Knowing the code alone is of no use to another browser.

mod code_send;
mod code_use;
mod known_browser;

pub(crate) use code_send::code_of;
pub use code_send::{CodeSendError, CodeSent, Origin, sign_in_code_send};
pub use code_use::{CodeUse, CodeUseError, SignedIn, sign_in_code_use};
pub(crate) use known_browser::mark;

use crate::keys::Keys;
use crate::limits::{SIGN_IN_DIGITS, SIGN_IN_DIGITS_LONG};
use purser_values::Sha256Digest;

/// The prefix of attempt tokens.
const ATTEMPT: &str = "pur_si";

/// The digits of a code as a person types them.
pub(crate) fn typed(code: &str) -> Result<String, CodeUseError> {
    let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if [SIGN_IN_DIGITS, SIGN_IN_DIGITS_LONG].contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit()) {
        Ok(code)
    } else {
        Err(CodeUseError::NotACode(code.chars().take(16).collect()))
    }
}

fn code_mac(keys: &Keys, attempt: &Sha256Digest, email: &str, code: &str) -> Vec<u8> {
    keys.mac("sign-in-code", &[&attempt.to_string(), email, code]).to_vec()
}
