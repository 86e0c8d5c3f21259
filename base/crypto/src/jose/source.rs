//! Where the key that signs comes from, for what outlives it: keys change while a program runs.

use std::fmt::Debug;

use super::{Jwk, SigningKey};

/// Asked anew for every signature.
pub trait KeySource: Debug + Send + Sync + 'static {
    /// The key that signs now.
    fn signing(&self) -> SigningKey;

    /// A public key of ours by its name, those that no longer sign included.
    fn known(&self, kid: &str) -> Option<Jwk>;
}

/// A key that never changes.
impl KeySource for SigningKey {
    fn signing(&self) -> SigningKey {
        self.clone()
    }

    fn known(&self, kid: &str) -> Option<Jwk> {
        (self.public().kid.as_deref() == Some(kid)).then(|| self.public().clone())
    }
}
