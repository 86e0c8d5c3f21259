//! Blocks that are not needed are given back to the payer: by itself it would keep them set aside for weeks. Credit is nobody's but ours.

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudResourceId;
use purser_values::{Env, Money};

use super::{CREDIT_BLOCK, read};
use crate::till::BlockAsk;

/// The next block of a resource to be given back, with the number of its stretch. Written down by its state: free, or given up unpaid.
///
/// # Errors
/// When the store fails.
pub fn next_release(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Option<(BlockAsk, i64)>, DbError> {
    let select = "select u.*, b.block, b.amount_minor, b.currency
                  from bill_block b join bill_usage u on u.resource = b.resource and u.number = b.number
                  where b.resource = $1 and b.block > $2 and b.state in ('free', 'unpaid') and b.released_at is null and u.token is not null
                  order by b.number, b.block limit 1";
    let Some(row) = tx.query_opt(select, params![resource, i64::from(CREDIT_BLOCK)])? else { return Ok(None) };
    let stretch = read(&row)?;
    let Some(from) = stretch.account() else { return Ok(None) };
    let amount = Money::from_minor(row.get("amount_minor")?, row.parse("currency")?);
    Ok(Some((BlockAsk { from, period: stretch.name, block: row.get("block")?, amount }, stretch.number)))
}

/// The payer has it back.
///
/// # Errors
/// When the store fails.
pub fn released(tx: &mut Tx<'_>, env: &Env, ask: &BlockAsk, number: i64) -> Result<(), DbError> {
    let update = "update bill_block set released_at = $4 where resource = $1 and number = $2 and block = $3";
    tx.execute(update, params![ask.from.resource, number, i64::from(ask.block), env.now()])?;
    drop_token(tx, &ask.from.resource, number)
}

/// Forgets the payment token of a stretch that is closed, when nobody needs it any more.
pub(super) fn drop_token(tx: &mut Tx<'_>, resource: &CloudResourceId, number: i64) -> Result<(), DbError> {
    let update = "update bill_usage set token = null where resource = $1 and number = $2 and state = 'closed' and not exists (
                      select 1 from bill_block b where b.resource = $1 and b.number = $2 and b.block > $3 and b.state in ('free', 'unpaid')
                          and b.released_at is null)";
    tx.execute(update, params![resource, number, i64::from(CREDIT_BLOCK)]).map(drop)
}
