//! Metered use: what was counted, what it costs, and the blocks of money that are set aside for it.
//!
//! A stretch of use has the prices and the payment token of its time, so that it can be rated and charged after a plan has changed. What is
//! counted while a stretch is open belongs to it; when it ends, its blocks are charged for what it cost, oldest first, and the rest goes back.
//!
//! INVARIANT (use-is-held): a stretch is never charged more than its blocks. What was used beyond them is on the invoice, and free.

pub mod close;
pub mod record;
pub mod release;
pub mod room;

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::CloudResourceId;
use purser_values::{Money, Month, Timestamp};
use serde_json::json;

use crate::price::{Meter, PriceList, Use};
use crate::subscription::{Payment, Subscription};
use crate::till::Account;

/// One stretch of use.
#[derive(Clone, Debug)]
pub struct Stretch {
    pub resource: CloudResourceId,
    pub number: i64,
    /// The period's name at the orchestrator: the month in which it began.
    pub name: Month,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub prices: PriceList,
    pub quote: String,
    /// Absent where nothing is sold beyond the included amounts.
    pub line: Option<String>,
    pub token: Option<Vec<u8>>,
}

/// The block that holds credit: it grows, and comes before those of the payment token. The orchestrator's blocks count from 1.
pub(crate) const CREDIT_BLOCK: u32 = 0;

/// A block of money for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub block: u32,
    pub amount: Money,
    pub state: BlockState,
    pub asked_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// The orchestrator was or will be asked.
    Asked,
    Refused,
    Reserved,
    Charged,
    /// Nothing of it was needed.
    Free,
    /// It was needed and its charge was refused.
    Unpaid,
}

impl BlockState {
    const ALL: [Self; 6] = [Self::Asked, Self::Refused, Self::Reserved, Self::Charged, Self::Free, Self::Unpaid];

    const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Refused => "refused",
            Self::Reserved => "reserved",
            Self::Charged => "charged",
            Self::Free => "free",
            Self::Unpaid => "unpaid",
        }
    }
}

impl Stretch {
    /// Where its money comes from; nothing where none can come.
    pub(crate) fn account(&self) -> Option<Account> {
        let (token, line) = (self.token.clone()?, self.line.clone()?);
        Some(Account { resource: self.resource.clone(), token, quote: self.quote.clone(), line })
    }
}

/// What a stretch's credit is set aside under.
pub(crate) fn subject(stretch: &Stretch) -> String {
    format!("use/{}/{}", stretch.resource, stretch.number)
}

/// Begins a stretch with the subscription's present terms.
pub(crate) fn open(tx: &mut Tx<'_>, sub: &Subscription, at: Timestamp) -> Result<(), DbError> {
    open_with(tx, sub, &sub.terms.prices, &sub.terms.payment, at)
}

pub(crate) fn open_with(tx: &mut Tx<'_>, sub: &Subscription, prices: &PriceList, payment: &Payment, at: Timestamp) -> Result<(), DbError> {
    let last = "select coalesce(max(number), -1) as n from bill_usage where resource = $1";
    let number = tx.query_one(last, params![sub.resource])?.get::<i64>("n")? + 1;
    let insert = "insert into bill_usage (resource, number, name, start_at, prices, quote, line, token, state)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, 'open')";
    let (quote, line) = (&payment.quote, &payment.usage_line);
    let token = line.as_ref().and(payment.token.clone());
    tx.execute(insert, params![sub.resource, number, at.month(), at, json!(prices), quote, line, token]).map(drop)
}

/// The stretch that counts now.
///
/// # Errors
/// When the store fails.
pub fn current(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Option<Stretch>, DbError> {
    let select = "select * from bill_usage where resource = $1 and state = 'open' order by number desc limit 1";
    tx.query_opt(select, params![resource])?.as_ref().map(read).transpose()
}

/// What was counted in a stretch, over all scripts.
///
/// # Errors
/// When the store fails.
pub fn counted(tx: &mut Tx<'_>, stretch: &Stretch) -> Result<Use, DbError> {
    let select = "select meter, cast(sum(quantity) as bigint) as n from bill_count where resource = $1 and number = $2 group by meter";
    let rows = tx.query(select, params![stretch.resource, stretch.number])?;
    rows.iter().map(|row| Ok((row.parse::<Meter>("meter")?, u64::try_from(row.get::<i64>("n")?).unwrap_or(0)))).collect()
}

/// What was counted in a stretch, script by script.
///
/// # Errors
/// When the store fails.
pub fn counted_by_script(tx: &mut Tx<'_>, stretch: &Stretch) -> Result<Vec<(String, Meter, u64)>, DbError> {
    let select = "select script, meter, quantity from bill_count where resource = $1 and number = $2 order by script, meter";
    let rows = tx.query(select, params![stretch.resource, stretch.number])?;
    rows.iter().map(|row| Ok((row.get("script")?, row.parse("meter")?, u64::try_from(row.get::<i64>("quantity")?).unwrap_or(0)))).collect()
}

/// # Errors
/// When the store fails.
pub fn blocks(tx: &mut Tx<'_>, stretch: &Stretch) -> Result<Vec<Block>, DbError> {
    let select = "select * from bill_block where resource = $1 and number = $2 order by block";
    let rows = tx.query(select, params![stretch.resource, stretch.number])?;
    rows.iter()
        .map(|row| {
            let state: String = row.get("state")?;
            Ok(Block {
                block: row.get("block")?,
                amount: Money::from_minor(row.get("amount_minor")?, row.parse("currency")?),
                state: BlockState::ALL
                    .into_iter()
                    .find(|known| known.name() == state)
                    .ok_or_else(|| DbError::Corrupt(format!("`{state}` is no state of a block")))?,
                asked_at: row.get("asked_at")?,
            })
        })
        .collect()
}

pub(crate) fn set_block(tx: &mut Tx<'_>, stretch: &Stretch, block: u32, from: BlockState, to: BlockState) -> Result<bool, DbError> {
    let update = "update bill_block set state = $5 where resource = $1 and number = $2 and block = $3 and state = $4";
    Ok(tx.execute(update, params![stretch.resource, stretch.number, block, from.name(), to.name()])? == 1)
}

pub(crate) fn sum(of: impl Iterator<Item = Money>, zero: Money) -> Result<Money, DbError> {
    let mut of = of;
    of.try_fold(zero, Money::checked_add).map_err(|e| DbError::Corrupt(e.to_string()))
}

fn read(row: &Row) -> Result<Stretch, DbError> {
    Ok(Stretch {
        resource: row.parse("resource")?,
        number: row.get("number")?,
        name: row.parse("name")?,
        start: row.get("start_at")?,
        end: row.get("end_at")?,
        prices: row.json("prices")?,
        quote: row.get("quote")?,
        line: row.get("line")?,
        token: row.get("token")?,
    })
}
