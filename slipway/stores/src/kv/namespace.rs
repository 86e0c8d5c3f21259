//! Namespaces: made, listed, renamed, deleted. Titles are an account's own.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::error::{StoreError, Thing};
use crate::limits;
use crate::stores::Stores;

/// A namespace as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// 32 hexadecimal digits.
    pub id: String,
    pub title: String,
    pub bytes: i64,
    pub created_at: Timestamp,
}

impl Stores {
    /// # Errors
    /// When the title is none, is taken, or there are too many.
    pub async fn kv_namespace_create(&self, account: &CloudAccountId, title: String) -> Result<Namespace, StoreError> {
        let title = checked(title)?;
        let id = hex::encode(self.inner().env.bytes::<16>());
        let made = Namespace { id, title, bytes: 0, created_at: self.inner().env.now() };
        let account = account.clone();
        self.change(move |tx| {
            let count: i64 = tx.query_one("select count(*) as n from kv_namespace where account = $1", params![account])?.get("n")?;
            if count >= limits::KV_NAMESPACES {
                return Err(StoreError::TooMany(Thing::Namespace, limits::KV_NAMESPACES));
            }
            let insert = "insert into kv_namespace (id, account, title, bytes, created_at) values ($1, $2, $3, 0, $4)";
            tx.execute(insert, params![made.id, account, made.title, made.created_at]).map_err(taken)?;
            Ok(made.clone())
        })
        .await
    }

    /// # Errors
    /// When the store fails.
    pub async fn kv_namespace_list(&self, account: &CloudAccountId) -> Result<Vec<Namespace>, StoreError> {
        let account = account.clone();
        self.look(move |tx| {
            let select = "select id, title, bytes, created_at from kv_namespace where account = $1 order by title, id";
            Ok(tx.query(select, params![account])?.iter().map(namespace).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// # Errors
    /// When the account has no such namespace.
    pub async fn kv_namespace_get(&self, account: &CloudAccountId, id: &str) -> Result<Namespace, StoreError> {
        let (account, id) = (account.clone(), id.to_owned());
        self.look(move |tx| find(tx, &account, &id)).await
    }

    /// # Errors
    /// When the account has no such namespace, or the title is none or taken.
    pub async fn kv_namespace_rename(&self, account: &CloudAccountId, id: &str, title: String) -> Result<Namespace, StoreError> {
        let (account, id, title) = (account.clone(), id.to_owned(), checked(title)?);
        self.change(move |tx| {
            tx.execute("update kv_namespace set title = $3 where id = $1 and account = $2", params![id, account, title]).map_err(taken)?;
            find(tx, &account, &id)
        })
        .await
    }

    /// The namespace is gone at once; its entries are cleared away later.
    ///
    /// # Errors
    /// When the account has no such namespace.
    pub async fn kv_namespace_delete(&self, account: &CloudAccountId, id: &str) -> Result<(), StoreError> {
        let (account, id, now) = (account.clone(), id.to_owned(), self.inner().env.now());
        self.change(move |tx| {
            if tx.execute("delete from kv_namespace where id = $1 and account = $2", params![id, account])? == 0 {
                return Err(StoreError::NotFound(Thing::Namespace));
            }
            tx.execute("insert into store_gone (kind, id, at) values ('kv', $1, $2)", params![id, now])?;
            Ok(())
        })
        .await
    }
}

/// The account's namespace of this id.
///
/// # Errors
/// When there is none.
pub fn find(tx: &mut Tx<'_>, account: &CloudAccountId, id: &str) -> Result<Namespace, StoreError> {
    let select = "select id, title, bytes, created_at from kv_namespace where id = $1 and account = $2";
    let row = tx.query_opt(select, params![id, account])?.ok_or(StoreError::NotFound(Thing::Namespace))?;
    Ok(namespace(&row)?)
}

fn namespace(row: &Row) -> Result<Namespace, DbError> {
    Ok(Namespace { id: row.get("id")?, title: row.get("title")?, bytes: row.get("bytes")?, created_at: row.get("created_at")? })
}

fn checked(title: String) -> Result<String, StoreError> {
    if title.trim().is_empty() || title.len() > limits::KV_TITLE_BYTES {
        return Err(StoreError::Invalid(format!("a namespace needs a title of 1 to {} bytes", limits::KV_TITLE_BYTES)));
    }
    Ok(title)
}

fn taken(e: DbError) -> StoreError {
    if matches!(e, DbError::Unique(_)) { StoreError::Taken(Thing::Namespace) } else { e.into() }
}
