//! Signing in with a code that arrives by mail.
//!
//! A code belongs to the browser that asked for it: the browser holds an attempt token, the store its digest, and the code's HMAC
//! covers both. Knowing the code alone is of no use to another browser. There is no sign-up: only a person whom we know, or whose
//! address an orchestrator asks about at the moment, gets a code, and nobody can see the difference.

pub mod code_send;
pub mod code_use;
mod known_browser;

use purser_values::Sha256Digest;

use crate::realm::CodeKey;

/// The prefix of attempt tokens.
const ATTEMPT: &str = "slp_si";

fn code_mac(key: &CodeKey, attempt: &Sha256Digest, email: &str, code: &str) -> Vec<u8> {
    key.mac("sign-in-code", &[&attempt.to_string(), email, code]).to_vec()
}
