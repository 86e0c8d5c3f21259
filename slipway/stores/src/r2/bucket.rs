//! Buckets: made, listed, deleted. Names are an account's own.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::STANDARD;
use super::multipart;
use crate::error::{StoreError, Thing};
use crate::limits;
use crate::stores::Stores;

/// A bucket as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub id: String,
    pub name: String,
    pub location: Option<String>,
    pub storage_class: String,
    pub bytes: i64,
    pub objects: i64,
    pub created_at: Timestamp,
}

impl Stores {
    /// # Errors
    /// When the name is none, is taken, or there are too many.
    pub async fn r2_bucket_create(
        &self,
        account: &CloudAccountId,
        name: String,
        location: Option<String>,
        storage_class: Option<String>,
    ) -> Result<Bucket, StoreError> {
        checked(&name)?;
        let storage_class = checked_class(storage_class)?;
        let (id, created_at) = (hex::encode(self.inner().env.bytes::<16>()), self.inner().env.now());
        let made = Bucket { id, name, location, storage_class, bytes: 0, objects: 0, created_at };
        let account = account.clone();
        self.change(move |tx| {
            let count: i64 = tx.query_one("select count(*) as n from r2_bucket where account = $1", params![account])?.get("n")?;
            if count >= limits::R2_BUCKETS {
                return Err(StoreError::TooMany(Thing::Bucket, limits::R2_BUCKETS));
            }
            let insert = "insert into r2_bucket (id, account, name, location, storage_class, bytes, objects, created_at)
                values ($1, $2, $3, $4, $5, 0, 0, $6)";
            let values = params![made.id, account, made.name, made.location, made.storage_class, made.created_at];
            tx.execute(insert, values)
                .map_err(|e| if matches!(e, DbError::Unique(_)) { StoreError::Taken(Thing::Bucket) } else { e.into() })?;
            Ok(made.clone())
        })
        .await
    }

    /// # Errors
    /// When the store fails.
    pub async fn r2_bucket_list(&self, account: &CloudAccountId) -> Result<Vec<Bucket>, StoreError> {
        let account = account.clone();
        self.look(move |tx| {
            let rows = tx.query("select * from r2_bucket where account = $1", params![account])?;
            let mut all = rows.iter().map(bucket).collect::<Result<Vec<_>, _>>()?;
            // not by the database: the two engines sort text differently
            all.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(all)
        })
        .await
    }

    /// # Errors
    /// When the account has no such bucket.
    pub async fn r2_bucket_get(&self, account: &CloudAccountId, name: &str) -> Result<Bucket, StoreError> {
        let (account, name) = (account.clone(), name.to_owned());
        self.look(move |tx| find(tx, &account, &name)).await
    }

    /// What objects that say no storage class get from now on.
    ///
    /// # Errors
    /// When the account has no such bucket, or there is no such class.
    pub async fn r2_bucket_class(&self, account: &CloudAccountId, name: &str, class: Option<String>) -> Result<Bucket, StoreError> {
        let (account, name, class) = (account.clone(), name.to_owned(), checked_class(class)?);
        self.change(move |tx| {
            tx.execute("update r2_bucket set storage_class = $3 where account = $1 and name = $2", params![account, name, class])?;
            find(tx, &account, &name)
        })
        .await
    }

    /// Only what is empty is deleted; uploads that were not completed are given up.
    ///
    /// # Errors
    /// When the account has no such bucket, or something is in it.
    pub async fn r2_bucket_delete(&self, account: &CloudAccountId, name: &str) -> Result<(), StoreError> {
        let (account, name, now) = (account.clone(), name.to_owned(), self.inner().env.now());
        self.change(move |tx| {
            let bucket = find(tx, &account, &name)?;
            let delete = "delete from r2_bucket where id = $1 and not exists (select 1 from r2_object where bucket = $1)";
            if tx.execute(delete, params![bucket.id])? == 0 {
                return Err(StoreError::NotEmpty(Thing::Bucket));
            }
            for row in tx.query("select id from r2_upload where bucket = $1", params![bucket.id])? {
                multipart::drop_upload(tx, &row.get::<String>("id")?, now)?;
            }
            Ok(())
        })
        .await
    }
}

/// The account's bucket of this name.
///
/// # Errors
/// When there is none.
pub fn find(tx: &mut Tx<'_>, account: &CloudAccountId, name: &str) -> Result<Bucket, StoreError> {
    let row = tx.query_opt("select * from r2_bucket where account = $1 and name = $2", params![account, name])?;
    Ok(bucket(&row.ok_or(StoreError::NotFound(Thing::Bucket))?)?)
}

fn bucket(row: &Row) -> Result<Bucket, DbError> {
    Ok(Bucket {
        id: row.get("id")?,
        name: row.get("name")?,
        location: row.get("location")?,
        storage_class: row.get("storage_class")?,
        bytes: row.get("bytes")?,
        objects: row.get("objects")?,
        created_at: row.get("created_at")?,
    })
}

fn checked(name: &str) -> Result<(), StoreError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = name.as_bytes().first().is_some_and(|b| inner(*b)) && name.as_bytes().last().is_some_and(|b| inner(*b));
    if (3..=63).contains(&name.len()) && ends && name.bytes().all(|b| inner(b) || b == b'-') {
        return Ok(());
    }
    let said = "the specified bucket name is not valid: 3 to 63 small letters, digits and hyphens, the first and the last no hyphen";
    Err(StoreError::Refused(10_005, said.to_owned()))
}

pub(super) fn checked_class(class: Option<String>) -> Result<String, StoreError> {
    match class {
        None => Ok(STANDARD.to_owned()),
        Some(class) if class == STANDARD || class == "InfrequentAccess" => Ok(class),
        Some(_) => Err(StoreError::Invalid("a storage class is `Standard` or `InfrequentAccess`".to_owned())),
    }
}
