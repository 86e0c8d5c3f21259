//! Names that are registered for nothing and nowhere, so that a client can be tried: each account has a world of its own, and none of it
//! exists for anybody else, for the registry or for the name servers.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

/// Most rehearsed names of an account.
pub const MOST: i64 = 1_000;
/// Years of a rehearsed name where none are named.
pub const YEARS: u32 = 1;

/// The table of rehearsed names; [`crate::store`] makes it.
pub(crate) const TABLE: &str = "create table domain_rehearsal (
        account {text} not null,
        name {text} not null,
        auto_renew {int} not null,
        created_at {int} not null,
        updated_at {int} not null,
        expires_at {int} not null,
        primary key (account, name)
    ){strict};";

/// A rehearsed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    pub name: DomainName,
    pub auto_renew: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("an account rehearses {MOST} names at most")]
    TooMany,
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Registers a name in the account's rehearsal; one that is there already is answered as it is.
///
/// # Errors
/// When the account has too many, or the store fails.
pub fn rehearsal_put(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    name: &DomainName,
    years: u32,
    auto_renew: bool,
    now: Timestamp,
) -> Result<Rehearsed, RehearsalError> {
    if let Some(there) = rehearsal_get(tx, account, name)? {
        return Ok(there);
    }
    let held: i64 = tx.query_one("select count(*) as n from domain_rehearsal where account = $1", params![account])?.get("n")?;
    if held >= MOST {
        return Err(RehearsalError::TooMany);
    }
    let months = i32::try_from(years).unwrap_or(1).saturating_mul(12);
    let new = Rehearsed { name: name.clone(), auto_renew, created_at: now, updated_at: now, expires_at: now.plus_months(months) };
    tx.execute(
        "insert into domain_rehearsal (account, name, auto_renew, created_at, updated_at, expires_at) values ($1, $2, $3, $4, $4, $5)",
        params![account, name, auto_renew, now, new.expires_at],
    )?;
    Ok(new)
}

/// # Errors
/// When the store fails.
pub fn rehearsal_get(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<Option<Rehearsed>, DbError> {
    let row = tx.query_opt("select * from domain_rehearsal where account = $1 and name = $2", params![account, name])?;
    row.map(|row| read(&row)).transpose()
}

/// By name.
///
/// # Errors
/// When the store fails.
pub fn rehearsal_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Rehearsed>, DbError> {
    tx.query("select * from domain_rehearsal where account = $1 order by name", params![account])?.iter().map(read).collect()
}

/// Says whether a rehearsed name would be renewed.
///
/// # Errors
/// When the store fails.
pub fn rehearsal_renew(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    name: &DomainName,
    auto_renew: bool,
    now: Timestamp,
) -> Result<Option<Rehearsed>, DbError> {
    let update = "update domain_rehearsal set auto_renew = $3, updated_at = $4 where account = $1 and name = $2";
    tx.execute(update, params![account, name, auto_renew, now])?;
    rehearsal_get(tx, account, name)
}

fn read(row: &Row) -> Result<Rehearsed, DbError> {
    Ok(Rehearsed {
        name: row.parse("name")?,
        auto_renew: row.get("auto_renew")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        expires_at: row.get("expires_at")?,
    })
}
