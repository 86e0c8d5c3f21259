//! The one trait behind which bytes lie: files of this machine, or any S3.
//!
//! Keys are ours and never a customer's. An object is written once and never changed. When `put` answers, the bytes are durable.

pub mod local;
pub mod place;
pub mod s3;

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;

use purser_values::Env;

use crate::body::Chunks;

/// What the calls of the trait answer.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The name of an object: small letters, digits and slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

/// A text that names no object of ours.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` names no object of ours")]
pub struct ParseKeyError(String);

/// Where bytes lie.
pub trait Objects: Send + Sync + 'static {
    /// Stores all that comes, durably, and tells how much that was. Of what fails nothing is left that anybody could read.
    fn put(&self, key: &Key, chunks: Chunks) -> Pending<'_, u64>;
    /// The bytes, or those of the range, which must lie within the object; nothing when there is no such object.
    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Pending<'_, Option<Chunks>>;
    /// Removes an object; what is not there needs no removing.
    fn delete(&self, key: &Key) -> Pending<'_, ()>;
    /// The objects below a folder, with their sizes.
    fn list(&self, folder: &str) -> Pending<'_, Vec<(Key, u64)>>;
}

impl Key {
    /// A fresh key below a folder such as `kv`. Two letters more spread the files over folders.
    #[must_use]
    pub fn mint(env: &Env, folder: &'static str) -> Self {
        let name = hex::encode(env.bytes::<16>());
        Self(format!("{folder}/{}/{}", &name[..2], &name[2..]))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = ParseKeyError;
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let fits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.split('/').all(fits) { Ok(Self(text.to_owned())) } else { Err(ParseKeyError(text.chars().take(80).collect())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_nowhere_else() {
        for bad in ["", "/", "../a", "a//b", "a/..", "A", "a/b.c", "a\0"] {
            assert!(bad.parse::<Key>().is_err(), "`{bad}` was taken");
        }
        assert!(Key::mint(&Env::system(), "kv").as_str().parse::<Key>().is_ok());
    }
}
