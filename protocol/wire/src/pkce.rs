//! Proof key for code exchange (RFC 7636), `S256` only: a code is good for nobody but who asked for it.

use purser_crypto::encoding::b64url;
use purser_values::{Env, Secret, Sha256Digest};

/// The one method that we send and take.
pub const METHOD: &str = "S256";

/// A fresh verifier of 256 random bits.
#[must_use]
pub fn verifier(env: &Env) -> Secret<String> {
    Secret::new(b64url(&env.bytes::<32>()))
}

/// The challenge of a verifier.
#[must_use]
pub fn challenge(verifier: &Secret<String>) -> String {
    b64url(Sha256Digest::of(verifier.expose().as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_the_rfc() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
