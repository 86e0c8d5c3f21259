//! Objects that come in parts: begun, parts in any order and as often as wanted, completed or given up.
//!
//! As R2 has it, all parts but the last are of one size and at least 5 MiB, and the entity tag is the MD5 of the parts' MD5s with their number.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::{Digest as _, Md5};
use purser_db::{Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::condition::OnlyIf;
use super::put::{Sums, object_put};
use super::{Checksums, HttpFields, Object, bucket, checked_custom, checked_name, json};
use crate::body::Incoming;
use crate::error::{StoreError, Thing};
use crate::stores::Stores;
use crate::{kept, limits};

/// A part that a client completes an upload with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub number: i64,
    pub etag: String,
}

impl Stores {
    /// Begins an upload; its id.
    ///
    /// # Errors
    /// When the account has no such bucket, the name or the metadata is not one, or too many are open.
    pub async fn r2_upload_create(
        &self,
        account: &CloudAccountId,
        bucket: &str,
        name: &str,
        http: &HttpFields,
        custom: &BTreeMap<String, String>,
        storage_class: Option<String>,
    ) -> Result<String, StoreError> {
        checked_name(name)?;
        checked_custom(custom)?;
        let storage_class = storage_class.map(|class| bucket::checked_class(Some(class))).transpose()?;
        let id = URL_SAFE_NO_PAD.encode(self.inner().env.bytes::<32>());
        let (account, bucket, name, now) = (account.clone(), bucket.to_owned(), name.to_owned(), self.inner().env.now());
        let (http, custom) = (json(http)?, json(custom)?);
        self.change(move |tx| {
            let bucket = bucket::find(tx, &account, &bucket)?;
            let open: i64 = tx.query_one("select count(*) as n from r2_upload where bucket = $1", params![bucket.id])?.get("n")?;
            if open >= limits::R2_UPLOADS {
                return Err(StoreError::TooMany(Thing::Upload, limits::R2_UPLOADS));
            }
            let insert =
                "insert into r2_upload (id, bucket, name, http, custom, storage_class, created_at) values ($1, $2, $3, $4, $5, $6, $7)";
            let class = storage_class.as_ref().unwrap_or(&bucket.storage_class);
            tx.execute(insert, params![id, bucket.id, name.as_bytes(), http, custom, class, now])?;
            Ok(id.clone())
        })
        .await
    }

    /// Takes a part, in place of what had its number; its entity tag.
    ///
    /// # Errors
    /// When there is no such upload, the number is none, or there is no room.
    pub async fn r2_upload_part(
        &self,
        account: &CloudAccountId,
        bucket: &str,
        name: &str,
        upload: &str,
        number: i64,
        value: Incoming,
    ) -> Result<String, StoreError> {
        if !(1..=limits::R2_PARTS).contains(&number) {
            return Err(StoreError::Invalid(format!("a part has a number from 1 to {}", limits::R2_PARTS)));
        }
        let (of, at, key, id) = (account.clone(), bucket.to_owned(), name.to_owned(), upload.to_owned());
        self.look(move |tx| find(tx, &of, &at, &key, &id).map(drop)).await?;
        let (written, sums) = self.r2_bytes(account, Sums::default(), value, limits::R2_OBJECT_BYTES).await?;
        let Some(written) = written else {
            return Err(StoreError::Refused(10_011, "your proposed upload is smaller than the minimum allowed object size".to_owned()));
        };
        let etag = sums.checked(&Checksums::default())?.md5.unwrap_or_default();
        let (of, at, key, id, now) = (account.clone(), bucket.to_owned(), name.to_owned(), upload.to_owned(), self.inner().env.now());
        let (kept, tag) = (written.clone(), etag.clone());
        let put = self.change(move |tx| {
            find(tx, &of, &at, &key, &id)?;
            kept::keep(tx, &kept)?;
            drop_part(tx, &id, number, now)?;
            let size = i64::try_from(kept.length).map_err(StoreError::internal)?;
            let insert = "insert into r2_part (upload, number, object, size, etag) values ($1, $2, $3, $4, $5)";
            tx.execute(insert, params![id, number, kept.key.as_str(), size, tag])?;
            Ok(())
        });
        match put.await {
            Ok(()) => Ok(etag),
            Err(e) => Err(self.given_up(&written.key, e).await),
        }
    }

    /// Makes the chosen parts an object.
    ///
    /// # Errors
    /// When there is no such upload, or the parts are not those that came or not of the sizes that they must be.
    pub async fn r2_upload_complete(
        &self,
        account: &CloudAccountId,
        bucket: &str,
        name: &str,
        upload: &str,
        chosen: Vec<Chosen>,
    ) -> Result<Object, StoreError> {
        let version = hex::encode(self.inner().env.bytes::<16>());
        let (account, bucket, name, id) = (account.clone(), bucket.to_owned(), name.to_owned(), upload.to_owned());
        let room = self.inner().room.clone();
        let now = self.inner().env.now();
        self.change(move |tx| {
            let row = find(tx, &account, &bucket, &name, &id)?;
            let parts = chosen_parts(tx, &id, &chosen)?;
            let object = Object {
                name: name.clone(),
                version: version.clone(),
                etag: etag(&parts)?,
                size: parts.iter().map(|part| part.size).sum(),
                uploaded_at: now,
                http: row.json("http")?,
                custom: row.json("custom")?,
                checksums: Checksums::default(),
                storage_class: row.get("storage_class")?,
                parts: parts.into_iter().map(|part| (part.object, part.size)).collect(),
            };
            // the parts of the object stay; they count with it from here on
            for (key, _) in &object.parts {
                tx.execute("delete from r2_part where upload = $1 and object = $2", params![id, key])?;
            }
            drop_upload(tx, &id, now)?;
            object_put(tx, &room, &account, &bucket, &object, &OnlyIf::default(), now)?;
            Ok(object)
        })
        .await
    }

    /// Gives an upload up; what is over already needs no giving up.
    ///
    /// # Errors
    /// When the account has no such bucket.
    pub async fn r2_upload_abort(&self, account: &CloudAccountId, bucket: &str, name: &str, upload: &str) -> Result<(), StoreError> {
        let (account, bucket, name, id) = (account.clone(), bucket.to_owned(), name.to_owned(), upload.to_owned());
        let now = self.inner().env.now();
        self.change(move |tx| match find(tx, &account, &bucket, &name, &id) {
            Err(StoreError::NotFound(Thing::Upload)) => Ok(()),
            found => found.and_then(|_| drop_upload(tx, &id, now)),
        })
        .await
    }
}

struct Part {
    number: i64,
    object: String,
    size: u64,
    etag: String,
}

fn find(tx: &mut Tx<'_>, account: &CloudAccountId, bucket: &str, name: &str, upload: &str) -> Result<Row, StoreError> {
    let bucket = bucket::find(tx, account, bucket)?.id;
    let select = "select http, custom, storage_class from r2_upload where id = $1 and bucket = $2 and name = $3";
    tx.query_opt(select, params![upload, bucket, name.as_bytes()])?.ok_or(StoreError::NotFound(Thing::Upload))
}

fn chosen_parts(tx: &mut Tx<'_>, upload: &str, chosen: &[Chosen]) -> Result<Vec<Part>, StoreError> {
    let invalid = || StoreError::Refused(10_025, "one or more of the specified parts could not be found".to_owned());
    let mut came = BTreeMap::new();
    for row in tx.query("select number, object, size, etag from r2_part where upload = $1", params![upload])? {
        let size = u64::try_from(row.get::<i64>("size")?).map_err(StoreError::internal)?;
        let part = Part { number: row.get("number")?, object: row.get("object")?, size, etag: row.get("etag")? };
        came.insert(part.number, part);
    }
    let numbers: BTreeSet<i64> = chosen.iter().map(|part| part.number).collect();
    if chosen.is_empty() || numbers.len() != chosen.len() {
        return Err(invalid());
    }
    let mut parts = Vec::with_capacity(chosen.len());
    for part in chosen {
        parts.push(came.remove(&part.number).filter(|found| found.etag == part.etag).ok_or_else(invalid)?);
    }
    parts.sort_by_key(|part| part.number);
    if let [all @ .., last] = parts.as_slice()
        && let Some(first) = all.first()
    {
        if all.iter().any(|part| part.size < limits::R2_PART_LEAST_BYTES) {
            return Err(StoreError::Refused(10_011, "your proposed upload is smaller than the minimum allowed object size".to_owned()));
        }
        if all.iter().any(|part| part.size != first.size) || last.size > first.size {
            let said = "there was a problem with the multipart upload: all parts but the last must be of one size";
            return Err(StoreError::Refused(10_048, said.to_owned()));
        }
    }
    Ok(parts)
}

fn etag(parts: &[Part]) -> Result<String, StoreError> {
    let mut all = Md5::new();
    for part in parts {
        all.update(hex::decode(&part.etag).map_err(StoreError::internal)?);
    }
    Ok(format!("{}-{}", hex::encode(all.finalize()), parts.len()))
}

/// Forgets an upload, and has the parts removed that it still has.
pub(super) fn drop_upload(tx: &mut Tx<'_>, upload: &str, now: Timestamp) -> Result<(), StoreError> {
    for row in tx.query("select number from r2_part where upload = $1", params![upload])? {
        drop_part(tx, upload, row.get("number")?, now)?;
    }
    tx.execute("delete from r2_upload where id = $1", params![upload])?;
    Ok(())
}

fn drop_part(tx: &mut Tx<'_>, upload: &str, number: i64, now: Timestamp) -> Result<(), StoreError> {
    let delete = "delete from r2_part where upload = $1 and number = $2 returning object";
    if let Some(row) = tx.query_opt(delete, params![upload, number])? {
        kept::doom(tx, &row.get::<String>("object")?, now)?;
    }
    Ok(())
}

/// Gives up uploads that nobody completed; how many.
pub fn stale(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let select = "select id from r2_upload where created_at < $1 order by created_at limit 10";
    let rows = tx.query(select, params![now.plus_secs(-limits::R2_UPLOAD_LIFE_S)])?;
    for row in &rows {
        drop_upload(tx, &row.get::<String>("id")?, now)?;
    }
    Ok(rows.len() as u64)
}
