//! Writing an object at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{self, Context};
use futures_util::StreamExt as _;
use md5::{Digest as _, Md5};
use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::condition::OnlyIf;
use super::{Checksums, HttpFields, Object, bucket, checked_custom, checked_name, delete, get, json};
use crate::body::Incoming;
use crate::error::{StoreError, Thing};
use crate::kept::{self, Written};
use crate::room::RoomOf;
use crate::stores::Stores;
use crate::{limits, room};

/// What comes with the bytes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub http: HttpFields,
    pub custom: BTreeMap<String, String>,
    pub only_if: OnlyIf,
    /// What the digests of the bytes must be.
    pub expected: Checksums,
    /// The bucket's own when it says none.
    pub storage_class: Option<String>,
}

impl Stores {
    /// Writes an object, durably, in place of what had its name.
    ///
    /// # Errors
    /// When the account has no such bucket, the name or the metadata is not one, a condition or a digest does not hold, or there is no room.
    pub async fn r2_put(
        &self,
        account: &CloudAccountId,
        bucket: &str,
        name: &str,
        options: Options,
        value: Incoming,
    ) -> Result<Object, StoreError> {
        checked_name(name)?;
        checked_custom(&options.custom)?;
        let asked = options.storage_class.map(|class| bucket::checked_class(Some(class))).transpose()?;
        let class = self.r2_bucket_get(account, bucket).await?.storage_class;
        let sums = Sums::over(&options.expected);
        let (written, sums) = self.r2_bytes(account, sums, value, limits::R2_OBJECT_BYTES).await?;
        let parts: Vec<(String, u64)> = written.iter().map(|w| (w.key.to_string(), w.length)).collect();
        let size = written.as_ref().map_or(0, |w| w.length);
        let put = match sums.checked(&options.expected) {
            Err(e) => Err(e),
            Ok(mut checksums) => {
                let etag = checksums.md5.clone().unwrap_or_default();
                checksums.md5 = Some(etag.clone());
                let object = Object {
                    name: name.to_owned(),
                    version: hex::encode(self.inner().env.bytes::<16>()),
                    etag,
                    size,
                    uploaded_at: self.inner().env.now(),
                    http: options.http,
                    custom: options.custom,
                    checksums,
                    storage_class: asked.unwrap_or(class),
                    parts,
                };
                let (account, bucket, only_if, kept) = (account.clone(), bucket.to_owned(), options.only_if, written.clone());
                let room = self.inner().room.clone();
                self.change(move |tx| {
                    let now = object.uploaded_at;
                    if let Some(written) = &kept {
                        kept::keep(tx, written)?;
                    }
                    object_put(tx, &room, &account, &bucket, &object, &only_if, now)?;
                    Ok(object.clone())
                })
                .await
            }
        };
        match (put, written) {
            (Err(e), Some(written)) => Err(self.given_up(&written.key, e).await),
            (put, _) => put,
        }
    }

    /// Writes bytes and digests them on the way; nothing is written of nothing.
    pub(super) async fn r2_bytes(
        &self,
        account: &CloudAccountId,
        sums: Sums,
        value: Incoming,
        most: u64,
    ) -> Result<(Option<Written>, Sums), StoreError> {
        if value.length == Some(0) {
            return Ok((None, sums));
        }
        let sums = Arc::new(Mutex::new(sums));
        let seen = sums.clone();
        let chunks = value.chunks.inspect(move |piece| {
            if let Ok(piece) = piece {
                seen.lock().unwrap_or_else(PoisonError::into_inner).update(piece);
            }
        });
        let written = self.write_object(account, "r2", Incoming { chunks: chunks.boxed(), length: value.length }, most).await?;
        let sums = std::mem::take(&mut *sums.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((Some(written), sums))
    }
}

/// Puts an object whose bytes are kept in place of what has its name.
pub(super) fn object_put(
    tx: &mut Tx<'_>,
    room: &RoomOf,
    account: &CloudAccountId,
    bucket: &str,
    object: &Object,
    only_if: &OnlyIf,
    now: Timestamp,
) -> Result<(), StoreError> {
    let bucket = bucket::find(tx, account, bucket)?.id;
    let before = get::find(tx, &bucket, &object.name)?;
    only_if.check(before.as_ref())?;
    let freed = if before.is_some() { delete::object_delete(tx, &bucket, &object.name, now)?.unwrap_or(0) } else { 0 };
    let (http, custom, checksums) = (json(&object.http)?, json(&object.custom)?, json(&object.checksums)?);
    let described = object.name.len() + http.len() + custom.len();
    let size = i64::try_from(object.size).map_err(StoreError::internal)?;
    let bytes = size + i64::try_from(described).map_err(StoreError::internal)?;
    room::claim(tx, room, account, bytes - freed)?;
    let insert =
        "insert into r2_object (bucket, name, version, etag, size, uploaded_at, http, custom, checksums, storage_class, parts, bytes)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let parts = json(&object.parts)?;
    let values = params![
        bucket,
        object.name.as_bytes(),
        object.version,
        object.etag,
        size,
        object.uploaded_at,
        http,
        custom,
        checksums,
        object.storage_class,
        parts,
        bytes
    ];
    tx.execute(insert, values)?;
    let count = "update r2_bucket set bytes = bytes + $2, objects = objects + 1 where id = $1";
    if tx.execute(count, params![bucket, bytes])? == 0 {
        return Err(StoreError::NotFound(Thing::Bucket));
    }
    Ok(())
}

/// Digests of bytes as they come: the MD5, and those that a sender gave.
#[derive(Default)]
pub(super) struct Sums {
    md5: Md5,
    sha1: Option<Context>,
    sha256: Option<Context>,
    sha384: Option<Context>,
    sha512: Option<Context>,
}

impl Sums {
    pub(super) fn over(expected: &Checksums) -> Self {
        let of = |wanted: &Option<String>, algorithm| wanted.as_ref().map(|_| Context::new(algorithm));
        Self {
            md5: Md5::new(),
            sha1: of(&expected.sha1, &digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: of(&expected.sha256, &digest::SHA256),
            sha384: of(&expected.sha384, &digest::SHA384),
            sha512: of(&expected.sha512, &digest::SHA512),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        for sum in [&mut self.sha1, &mut self.sha256, &mut self.sha384, &mut self.sha512].into_iter().flatten() {
            sum.update(bytes);
        }
    }

    /// What the digests are, when they are what was expected.
    pub(super) fn checked(self, expected: &Checksums) -> Result<Checksums, StoreError> {
        let done = |sum: Option<Context>| sum.map(|sum| hex::encode(sum.finish()));
        let found = Checksums {
            md5: Some(hex::encode(self.md5.finalize())),
            sha1: done(self.sha1),
            sha256: done(self.sha256),
            sha384: done(self.sha384),
            sha512: done(self.sha512),
        };
        let pairs = [
            ("MD5", &expected.md5, &found.md5),
            ("SHA-1", &expected.sha1, &found.sha1),
            ("SHA-256", &expected.sha256, &found.sha256),
            ("SHA-384", &expected.sha384, &found.sha384),
            ("SHA-512", &expected.sha512, &found.sha512),
        ];
        for (name, expected, found) in pairs {
            if let (Some(expected), Some(found)) = (expected, found)
                && !expected.eq_ignore_ascii_case(found)
            {
                let said = format!("the {name} checksum you specified did not match what we received: it was {found}");
                return Err(StoreError::Refused(10_037, said));
            }
        }
        Ok(found)
    }
}
