//! The rate that is kept with each line of a hold which counts in another currency than its own.
//!
//! INVARIANT (stated-rate): `held` is what the whole line counts, `captured` what its charge counts less what came back: both by this row's
//! rate, whatever is stated since. What came back is the difference of two such amounts, so nothing is lost to rounding.

use purser_db::{DbError, Tx, Value, params};
use purser_values::Money;
use purser_values::id::HoldId;

use super::Rate;
use super::read::rate;

/// A line and the rate that it counts by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    pub hold: &'a HoldId,
    pub line: &'a str,
    pub period: &'a str,
    pub amount: Money,
    pub rate: &'a Rate,
}

/// What is kept of a line, in one currency.
#[derive(Clone, Debug)]
pub(crate) struct KeptRate {
    pub rate: Rate,
    pub held: Money,
    pub captured: Money,
    /// What the charge took and did not give back, in its own currency.
    pub paid: Money,
}

impl KeptRate {
    /// What moves when this much of the line is charged.
    pub fn take(&self, amount: Money) -> Result<Money, DbError> {
        counted(&self.rate, amount)
    }

    /// What comes back in this currency when this much comes back, and what is captured then.
    pub fn give_back(&self, amount: Money) -> Result<(Money, Money), DbError> {
        let overflow = |e: purser_values::money::MoneyError| DbError::Corrupt(e.to_string());
        let left = counted(&self.rate, self.paid.checked_sub(amount).map_err(overflow)?)?;
        Ok((self.captured.checked_sub(left).map_err(overflow)?, left))
    }
}

fn counted(rate: &Rate, amount: Money) -> Result<Money, DbError> {
    rate.counted(amount).map_err(|e| DbError::Corrupt(e.to_string()))
}

/// Keeps the rates of lines that were just set aside; one that is there already stays.
pub(crate) fn keep<'a>(tx: &mut Tx<'_>, kept: impl IntoIterator<Item = Kept<'a>>) -> Result<(), DbError> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for Kept { hold, line, period, amount, rate } in kept {
        let which = params![hold, line, period, rate.from, rate.to, rate.ratio.numerator, rate.ratio.denominator, rate.deviation_bp];
        let what = params![rate.source, rate.valid_from, rate.valid_until, counted(rate, amount)?.minor(), 0_i64, 0_i64];
        rows.push([which, what].concat());
    }
    if rows.is_empty() {
        return Ok(());
    }
    let insert = "insert into spend_line_rate (hold, line, period, source_currency, target_currency, numerator, denominator, deviation_bp,
                      source, valid_from, valid_until, held, captured, paid)
                  {values:text,text,text,text,text,int,int,int,text,int,int,int,int,int}
                  on conflict (hold, line, period, target_currency) do nothing";
    tx.execute_rows(insert, &rows).map(drop)
}

/// Forgets what a period that was given back counted by: it is set aside anew by a rate of its own.
pub(crate) fn forget(tx: &mut Tx<'_>, hold: &HoldId, line: &str, period: &str) -> Result<(), DbError> {
    let delete = "delete from spend_line_rate where hold = $1 and line = $2 and period = $3 and captured = 0";
    tx.execute(delete, params![hold, line, period]).map(drop)
}

/// What a line counts by, for each currency that is not its own.
pub(crate) fn of_line(tx: &mut Tx<'_>, hold: &HoldId, line: &str, period: &str) -> Result<Vec<KeptRate>, DbError> {
    let select = "select * from spend_line_rate where hold = $1 and line = $2 and period = $3 order by target_currency";
    let rows = tx.query(select, params![hold, line, period])?;
    rows.iter()
        .map(|row| {
            let rate = rate(row)?;
            let of = |minor, currency| Money::from_minor(minor, currency);
            Ok(KeptRate {
                held: of(row.get("held")?, rate.to),
                captured: of(row.get("captured")?, rate.to),
                paid: of(row.get("paid")?, rate.from),
                rate,
            })
        })
        .collect()
}

/// What is captured of the line from now on, in the rate's currency and in its own.
pub(crate) fn write(tx: &mut Tx<'_>, (hold, line, period): (&HoldId, &str, &str), captured: Money, paid: Money) -> Result<(), DbError> {
    let update = "update spend_line_rate set captured = $5, paid = $6
                  where hold = $1 and line = $2 and period = $3 and target_currency = $4";
    match tx.execute(update, params![hold, line, period, captured.currency(), captured.minor(), paid.minor()])? {
        1 => Ok(()),
        _ => Err(DbError::Corrupt(format!("a line of `{hold}` has lost its rate to {}", captured.currency()))),
    }
}
