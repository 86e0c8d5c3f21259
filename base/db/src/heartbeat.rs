//! A row that is written to see whether the database takes writes.

use purser_values::Timestamp;

use crate::error::DbError;
use crate::params;
use crate::tx::Tx;

pub(crate) const TABLE: &str = "create table heartbeat (id {int} primary key, at {int} not null){strict}";

/// Writes the row. The commit that follows says whether the disk holds more than what was read from it.
///
/// # Errors
/// When the store fails.
pub fn heartbeat(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), DbError> {
    let upsert = "insert into heartbeat (id, at) values (1, $1) on conflict (id) do update set at = excluded.at";
    tx.execute(upsert, params![now]).map(drop)
}
