//! Signing in with a code that arrives by mail.
//!
//! A code belongs to the browser that asked for it: the browser holds an attempt token, the store its digest, and the code's
//! HMAC covers both. Knowing the code alone is of no use to another browser.

mod code_send;
mod code_use;
mod known_browser;

pub use code_send::{CodeSendError, CodeSent, Origin, sign_in_code_send};
pub use code_use::{CodeUse, CodeUseError, SignedIn, sign_in_code_use};

use crate::keys::Keys;
use purser_values::Sha256Digest;

/// The prefix of attempt tokens.
const ATTEMPT: &str = "pur_si";

fn code_mac(keys: &Keys, attempt: &Sha256Digest, email: &str, code: &str) -> Vec<u8> {
    keys.mac("sign-in-code", &[&attempt.to_string(), email, code]).to_vec()
}
