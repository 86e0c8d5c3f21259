//! `usage_record`: counts that a node measured. A batch counts once, however often it is sent.

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};

use super::current;
use crate::limits::BATCH_KEPT_S;
use crate::price::Meter;
use crate::subscription::get::plan_of;

/// What one script used of one meter since the last batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    pub account: CloudAccountId,
    /// Empty for what is measured of the account as a whole.
    pub script: String,
    pub meter: Meter,
    pub quantity: u64,
}

/// Adds the batch to the stretches that are open; tells whether it is the first time. What an account without a plan uses is not billed.
///
/// # Errors
/// When the store fails.
pub fn usage_record(tx: &mut Tx<'_>, env: &Env, batch: &str, counts: &[Count]) -> Result<bool, DbError> {
    let insert = "insert into bill_batch (id, at) values ($1, $2) on conflict do nothing";
    if tx.execute(insert, params![batch, env.now()])? == 0 {
        return Ok(false);
    }
    for count in counts.iter().filter(|count| count.quantity > 0) {
        let Some(sub) = plan_of(tx, &count.account)? else { continue };
        let Some(stretch) = current(tx, &sub.resource)? else { continue };
        let add = "insert into bill_count (resource, number, script, meter, quantity) values ($1, $2, $3, $4, $5)
                   on conflict (resource, number, script, meter) do update set quantity = bill_count.quantity + $5";
        let quantity = i64::try_from(count.quantity).unwrap_or(i64::MAX);
        tx.execute(add, params![stretch.resource, stretch.number, count.script, count.meter.name(), quantity])?;
    }
    Ok(true)
}

/// Forgets the ids of old batches.
///
/// # Errors
/// When the store fails.
pub fn usage_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from bill_batch where at < $1", params![now.plus_secs(-BATCH_KEPT_S)])
}
