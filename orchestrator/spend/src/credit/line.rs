//! Lines of a hold of which a credit pays a part: what a later period costs is more than what was set aside for the first.

use purser_db::{DbError, Tx, Value, params};
use purser_values::id::HoldId;
use purser_values::{Money, Timestamp};

use super::balance;
use crate::hold::Hold;

/// The whole prices of such lines of new holds.
pub(crate) fn prices<'a>(tx: &mut Tx<'_>, all: impl Iterator<Item = (&'a HoldId, &'a String, &'a Money)>) -> Result<(), DbError> {
    let rows: Vec<Vec<Value>> = all.map(|(hold, line, price)| params![hold, line, price.minor()].to_vec()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute_rows("insert into spend_line_credit (hold, line, price) {values:text,text,int}", &rows).map(drop)
}

/// What a period of the line costs, where a credit pays for it; none where none does.
pub(crate) fn price(tx: &mut Tx<'_>, hold: &Hold, line: &str) -> Result<Option<Money>, DbError> {
    let select = "select price from spend_line_credit where hold = $1 and line = $2";
    let row = tx.query_opt(select, params![hold.id, line])?;
    row.map(|row| Ok(Money::from_minor(row.get("price")?, hold.amount.currency()))).transpose()
}

/// Whether the provider is expected to pay for what is due then, as far as is known: then nothing is set aside ahead. What it charges after
/// all finds room when it is charged, or is refused.
pub(crate) fn is_expected(tx: &mut Tx<'_>, hold: &Hold, due: Timestamp) -> Result<bool, DbError> {
    let left = balance::left(tx, &hold.spender.organisation, &hold.provider, hold.amount.currency(), due)?;
    Ok(left.is_positive())
}
