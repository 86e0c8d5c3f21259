//! How much an account keeps in its stores, and whether there is room for more.

use std::sync::Arc;

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudAccountId;

use crate::error::StoreError;
use crate::limits;

/// How much an account may keep in its stores, in bytes: its plan's share less what it keeps elsewhere. Asked in the write that adds something.
pub type RoomOf = Arc<dyn Fn(&mut Tx<'_>, &CloudAccountId) -> Result<i64, DbError> + Send + Sync>;

/// What an account keeps, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub account: CloudAccountId,
    pub kv: u64,
    pub r2: u64,
    pub d1: u64,
}

impl Stored {
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.kv.saturating_add(self.r2).saturating_add(self.d1)
    }
}

/// Parts of uploads that are not complete, and files of databases on their way in or out, say `kept` and are in no other sum. `doomed` is what
/// nothing refers to any more and is still on the disk.
const HELD: &str = "select cast(coalesce((select sum(bytes) from kv_namespace where account = $1), 0)
    + coalesce((select sum(bytes) from r2_bucket where account = $1), 0)
    + coalesce((select sum(p.size) from r2_part p join r2_upload u on u.id = p.upload join r2_bucket b on b.id = u.bucket where b.account = $1), 0)
    + coalesce((select sum(bytes) from queue where account = $1), 0)
    + coalesce((select sum(bytes + past) from d1_database where account = $1), 0)
    + coalesce((select sum(length) from d1_transfer where account = $1 and object is not null), 0)
    + coalesce((select sum(bytes) from store_object where account = $1 and state = 'writing'), 0) as bigint) as n,
    cast(coalesce((select sum(bytes) from store_object where account = $1 and state = 'doomed'), 0) as bigint) as doomed";

const STORED: &str = "select account, cast(sum(kv) as bigint) as kv, cast(sum(r2) as bigint) as r2, cast(sum(d1) as bigint) as d1 from (
    select account, bytes as kv, 0 as r2, 0 as d1 from kv_namespace
    union all select account, 0, bytes, 0 from r2_bucket
    union all select account, 0, 0, bytes from d1_database
    union all select b.account, 0, p.size, 0 from r2_part p join r2_upload u on u.id = p.upload join r2_bucket b on b.id = u.bucket
    ) as all_of_them group by account order by account";

/// What every account keeps.
pub fn stored(tx: &mut Tx<'_>) -> Result<Vec<Stored>, DbError> {
    let bytes = |row: &purser_db::Row, column| Ok::<_, DbError>(u64::try_from(row.get::<i64>(column)?).unwrap_or(0));
    let rows = tx.query(STORED, params![])?;
    rows.iter()
        .map(|row| Ok(Stored { account: row.parse("account")?, kv: bytes(row, "kv")?, r2: bytes(row, "r2")?, d1: bytes(row, "d1")? }))
        .collect()
}

/// What the account keeps now, its databases' pasts and uploads under way included.
pub fn held(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    let row = tx.query_one(HELD, params![account])?;
    let doomed = row.get::<i64>("doomed")?.saturating_sub(limits::DOOMED_FREE_BYTES).max(0);
    Ok(row.get::<i64>("n")?.saturating_add(doomed))
}

/// How much more the account may keep.
pub fn left(tx: &mut Tx<'_>, room: &RoomOf, account: &CloudAccountId) -> Result<i64, DbError> {
    Ok(room(tx, account)?.saturating_sub(held(tx, account)?))
}

/// Refuses what would make the account keep more than it may.
pub fn claim(tx: &mut Tx<'_>, room: &RoomOf, account: &CloudAccountId, more: i64) -> Result<(), StoreError> {
    if more > 0 && more > left(tx, room, account)? { Err(StoreError::Full(room(tx, account)?.max(0))) } else { Ok(()) }
}
