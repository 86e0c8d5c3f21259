//! What the use cases of people need besides a transaction: time, the key of codes, and a way to send mail.

use std::sync::Arc;

use purser_crypto::mac;
use purser_crypto::seal::{Keyring, SealError};
use purser_db::jobs::enqueue;
use purser_db::{DbError, Tx};
use purser_notify::{Mail, Subject, mail_job};
use purser_values::name::Email;
use purser_values::{Env, Secret};

/// The secret under which codes, form tokens and marks of browsers are authenticated; cheap to clone.
#[derive(Clone)]
pub struct CodeKey(Arc<Secret<Vec<u8>>>);

impl std::fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeKey(***)")
    }
}

impl CodeKey {
    #[must_use]
    pub fn new(secret: Secret<Vec<u8>>) -> Self {
        Self(Arc::new(secret))
    }

    /// HMAC over the parts. `purpose` keeps uses apart.
    #[must_use]
    pub fn mac(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut framed = vec![purpose.as_bytes(), b"\0"];
        for part in parts {
            framed.extend([part.as_bytes(), b"\0".as_slice()]);
        }
        mac::hmac_sha256(self.0.expose(), &framed)
    }
}

/// One installation, as its people know it.
#[derive(Clone, Debug)]
pub struct Realm {
    pub env: Env,
    pub key: CodeKey,
    pub keyring: Keyring,
    /// Where people reach the pages; ends in `/`.
    pub public_url: Arc<str>,
}

/// A mail could not be put into the queue.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl Realm {
    /// Enqueues a mail with the write that causes it.
    ///
    /// # Errors
    /// When it cannot be sealed, or the store fails.
    pub fn mail(&self, tx: &mut Tx<'_>, to: &Email, subject: &str, text: String) -> Result<(), MailError> {
        let mail = Mail { to: to.clone(), subject: Subject::new(subject), text };
        let job = mail_job(&self.keyring, &self.env, &mail)?;
        enqueue(tx, &self.env, &job)?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub fn realm(env: &Env) -> Realm {
        Realm {
            env: env.clone(),
            key: CodeKey::new(Secret::new(vec![3; 32])),
            keyring: Keyring::from_bytes(&Secret::new([7; 32])).unwrap(),
            public_url: "https://cloud.test/".into(),
        }
    }
}
