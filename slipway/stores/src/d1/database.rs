//! Databases: made, listed, deleted. Names are an account's own.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::error::{StoreError, Thing};
use crate::limits;
use crate::stores::Stores;

/// A database as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// A dashed UUID.
    pub id: String,
    pub name: String,
    pub bytes: i64,
    pub tables: i64,
    pub created_at: Timestamp,
}

impl Stores {
    /// # Errors
    /// When the name is none, is taken, or there are too many.
    pub async fn d1_create(&self, account: &CloudAccountId, name: String) -> Result<Database, StoreError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > limits::D1_NAME_BYTES || !name.bytes().all(fits) {
            let said = format!("a database needs a name of 1 to {} letters, digits, `-` and `_`", limits::D1_NAME_BYTES);
            return Err(StoreError::Refused(7_400, said));
        }
        let id = uuid(self.inner().env.bytes::<16>());
        let made = Database { id, name, bytes: 0, tables: 0, created_at: self.inner().env.now() };
        let account = account.clone();
        self.change(move |tx| {
            let count: i64 = tx.query_one("select count(*) as n from d1_database where account = $1", params![account])?.get("n")?;
            if count >= limits::D1_DATABASES {
                return Err(StoreError::TooMany(Thing::Database, limits::D1_DATABASES));
            }
            let insert = "insert into d1_database (id, account, name, bytes, tables, created_at) values ($1, $2, $3, 0, 0, $4)";
            tx.execute(insert, params![made.id, account, made.name, made.created_at])
                .map_err(|e| if matches!(e, DbError::Unique(_)) { StoreError::Taken(Thing::Database) } else { e.into() })?;
            Ok(made.clone())
        })
        .await
    }

    /// # Errors
    /// When the store fails.
    pub async fn d1_list(&self, account: &CloudAccountId) -> Result<Vec<Database>, StoreError> {
        let account = account.clone();
        self.look(move |tx| {
            let rows = tx.query("select * from d1_database where account = $1 order by created_at, id", params![account])?;
            Ok(rows.iter().map(database).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// By id or by name.
    ///
    /// # Errors
    /// When the account has no such database.
    pub async fn d1_get(&self, account: &CloudAccountId, id_or_name: &str) -> Result<Database, StoreError> {
        let (account, id) = (account.clone(), id_or_name.to_owned());
        self.look(move |tx| {
            let select =
                "select * from d1_database where account = $1 and (id = $2 or name = $2) order by case when id = $2 then 0 else 1 end";
            let row = tx.query_opt(select, params![account, id])?.ok_or(StoreError::NotFound(Thing::Database))?;
            Ok(database(&row)?)
        })
        .await
    }

    /// The database is gone at once; its files are removed by the sweep.
    ///
    /// # Errors
    /// When the account has no such database.
    pub async fn d1_delete(&self, account: &CloudAccountId, id: &str) -> Result<(), StoreError> {
        let (of, at, now) = (account.clone(), id.to_owned(), self.inner().env.now());
        self.change(move |tx| {
            if tx.execute("delete from d1_database where id = $1 and account = $2", params![at, of])? == 0 {
                return Err(StoreError::NotFound(Thing::Database));
            }
            tx.execute("insert into store_gone (kind, id, at) values ('d1', $1, $2)", params![at, now])?;
            Ok(())
        })
        .await?;
        self.inner().d1.close(id);
        Ok(())
    }

    /// Removes the files of databases that were deleted; how many.
    pub(crate) async fn d1_sweep(&self) -> Result<u64, StoreError> {
        let before = self.inner().env.now().plus_secs(-limits::DOOMED_S);
        let gone = self.inner().db.read(move |tx| -> Result<Vec<String>, DbError> {
            let rows = tx.query("select id from store_gone where kind = 'd1' and at < $1 limit 100", params![before])?;
            rows.iter().map(|row| row.get("id")).collect()
        });
        let gone = gone.await?;
        for id in &gone {
            self.inner().d1.remove(id).await?;
            let id = id.clone();
            let delete = "delete from store_gone where kind = 'd1' and id = $1";
            self.inner().db.write(move |tx| tx.execute(delete, params![id])).await?;
        }
        Ok(gone.len() as u64)
    }
}

/// The account's database of this id.
///
/// # Errors
/// When there is none.
pub fn find(tx: &mut Tx<'_>, account: &CloudAccountId, id: &str) -> Result<Database, StoreError> {
    let row = tx.query_opt("select * from d1_database where id = $1 and account = $2", params![id, account])?;
    Ok(database(&row.ok_or(StoreError::NotFound(Thing::Database))?)?)
}

fn database(row: &Row) -> Result<Database, DbError> {
    Ok(Database {
        id: row.get("id")?,
        name: row.get("name")?,
        bytes: row.get("bytes")?,
        tables: row.get("tables")?,
        created_at: row.get("created_at")?,
    })
}

fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
