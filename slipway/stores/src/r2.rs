//! Object buckets: rows that describe objects, bytes behind the trait.
//!
//! An object is replaced in one write: a reader sees the old one or the new one. Parts of an upload become an object without being copied.

pub mod binding;
pub mod bucket;
pub mod condition;
pub mod delete;
pub mod get;
pub mod list;
pub mod multipart;
pub mod put;

use std::collections::BTreeMap;

use purser_db::{DbError, Row};
use purser_values::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::limits;

/// What goes with an object and is sent with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "binding::whole_opt")]
    pub cache_expiry: Option<i64>,
}

/// Digests that a sender gave and that held, in hexadecimal. The MD5 is the entity tag of what was written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checksums {
    #[serde(rename = "0", skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    #[serde(rename = "1", skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    #[serde(rename = "2", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(rename = "3", skip_serializing_if = "Option::is_none")]
    pub sha384: Option<String>,
    #[serde(rename = "4", skip_serializing_if = "Option::is_none")]
    pub sha512: Option<String>,
}

/// An object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub name: String,
    pub version: String,
    pub etag: String,
    pub size: u64,
    pub uploaded_at: Timestamp,
    pub http: HttpFields,
    pub custom: BTreeMap<String, String>,
    pub checksums: Checksums,
    pub storage_class: String,
    /// Where the bytes lie.
    pub(crate) parts: Vec<(String, u64)>,
}

/// The storage class when a client says none.
pub const STANDARD: &str = "Standard";

pub(crate) fn object(row: &Row) -> Result<Object, DbError> {
    let name = String::from_utf8(row.get("name")?).map_err(|_| DbError::Corrupt("the name of an object is not UTF-8".to_owned()))?;
    Ok(Object {
        name,
        version: row.get("version")?,
        etag: row.get("etag")?,
        size: u64::try_from(row.get::<i64>("size")?).unwrap_or(0),
        uploaded_at: row.get("uploaded_at")?,
        http: row.json("http")?,
        custom: row.json("custom")?,
        checksums: row.json("checksums")?,
        storage_class: row.get("storage_class")?,
        parts: row.json("parts")?,
    })
}

/// Milliseconds since 1970, as R2 tells times.
#[must_use]
pub const fn millis(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000)
}

pub(crate) fn checked_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > limits::R2_KEY_BYTES {
        return Err(StoreError::Refused(10_020, "the specified object name is not valid".to_owned()));
    }
    Ok(())
}

pub(crate) fn checked_custom(custom: &BTreeMap<String, String>) -> Result<(), StoreError> {
    if custom.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() > limits::R2_METADATA_BYTES {
        return Err(StoreError::Refused(10_012, "your metadata headers exceed the maximum allowed metadata size".to_owned()));
    }
    Ok(())
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::internal)
}
