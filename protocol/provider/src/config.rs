//! How the SDK behaves. Everything that widens what is accepted is off.

use purser_crypto::seal::{Keyring, SealError};
use purser_values::{Env, Secret};

use crate::keys::OrchestratorKeys;

/// How an account request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerWith {
    /// A single-use code for the token endpoint: tokens never travel in the first answer.
    Code,
    /// The tokens at once.
    Credentials,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub env: Env,
    /// The signing secrets that are valid now: one, or two while it is being replaced. Without one every request is refused.
    pub secrets: Vec<Secret<String>>,
    /// Seals the answers that are kept for idempotency keys; they hold credentials.
    pub keyring: Keyring,
    /// The orchestrator's public keys. Without them no V2 signature and no identity assertion can be checked, and both are refused.
    pub orchestrator: Option<OrchestratorKeys>,
    /// Refuse requests without `Stripe-Signature-V2`.
    pub require_v2: bool,
    /// Refuse account requests without `identity_assertion`.
    pub require_assertion: bool,
    /// Let a code be redeemed with its PKCE verifier alone, as public clients do.
    pub unsigned_code: bool,
    /// Let a refresh token be used without a signature, as some orchestrators do.
    pub unsigned_refresh: bool,
    pub answer_with: AnswerWith,
    /// Life of an access token, in seconds.
    pub access_life_s: i64,
    /// Life of a refresh token, in seconds.
    pub refresh_life_s: i64,
}

impl Config {
    /// A configuration for one signing secret.
    #[must_use]
    pub fn new(env: Env, secret: Secret<String>, keyring: Keyring) -> Self {
        Self {
            env,
            secrets: vec![secret],
            keyring,
            orchestrator: None,
            require_v2: false,
            require_assertion: false,
            unsigned_code: false,
            unsigned_refresh: false,
            answer_with: AnswerWith::Code,
            access_life_s: 30 * 24 * 3600,
            refresh_life_s: 365 * 24 * 3600,
        }
    }

    /// A configuration whose kept answers do not outlive the process; fits [`crate::MemoryStore`].
    ///
    /// # Errors
    /// When the cryptographic library gives no key.
    pub fn in_memory(env: Env, secret: Secret<String>) -> Result<Self, SealError> {
        let keyring = Keyring::from_bytes(&Secret::new(env.bytes::<32>()))?;
        Ok(Self::new(env, secret, keyring))
    }
}
