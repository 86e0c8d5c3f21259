//! Key-value namespaces: small values in rows, larger ones behind the trait for objects; metadata, expiry, lists in the order of keys.
//!
//! What has expired is gone for whoever asks, swept or not.

pub mod binding;
pub mod bulk;
pub mod delete;
pub mod get;
pub mod list;
pub mod namespace;
pub mod put;
pub(crate) mod sweep;

use crate::error::StoreError;
use crate::limits;

/// The name of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for KeyName {
    type Error = StoreError;
    fn try_from(text: String) -> Result<Self, StoreError> {
        match text.as_str() {
            "" => Err(StoreError::Invalid("key names must not be empty".to_owned())),
            "." | ".." => Err(StoreError::Invalid(format!("`{text}` cannot be the name of a key; use another"))),
            _ if text.len() > limits::KV_KEY_BYTES => Err(too_long(text.len())),
            _ => Ok(Self(text)),
        }
    }
}

fn too_long(bytes: usize) -> StoreError {
    StoreError::Invalid(format!("UTF-8 encoded length of {bytes} exceeds key length limit of {}", limits::KV_KEY_BYTES))
}
