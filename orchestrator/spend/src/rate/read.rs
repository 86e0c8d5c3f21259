//! The rates that an organisation has stated, and the one that is in force for a purchase.

use std::collections::{BTreeMap, BTreeSet};

use purser_authority::Permit;
use purser_authority::action::CapRead;
use purser_db::{DbError, Row, Tx, Value, params};
use purser_values::id::OrganisationId;
use purser_values::{Currency, Timestamp};

use super::{Rate, RateError, Ratio};
use crate::spender;

/// The rates of the organisations of one write.
#[derive(Debug, Default)]
pub(crate) struct Rates(BTreeMap<(OrganisationId, Currency, Currency), Rate>);

/// Why an amount does not count.
#[derive(Clone, Debug)]
pub(crate) enum NoRate {
    /// Nobody has stated one.
    Missing,
    /// It is over, or has not begun.
    NotInForce(Box<Rate>),
}

impl Rates {
    pub fn at(&self, organisation: &OrganisationId, from: Currency, to: Currency, at: Timestamp) -> Result<&Rate, NoRate> {
        let rate = self.0.get(&(organisation.clone(), from, to)).ok_or(NoRate::Missing)?;
        if rate.is_in_force(at) { Ok(rate) } else { Err(NoRate::NotInForce(Box::new(rate.clone()))) }
    }
}

pub(crate) fn load(tx: &mut Tx<'_>, organisations: &BTreeSet<&OrganisationId>) -> Result<Rates, DbError> {
    let rows: Vec<Vec<Value>> = organisations.iter().map(|organisation| params![organisation].to_vec()).collect();
    let select = "select r.n, t.* from {rows:text} join spend_rate t on t.organisation = r.c1";
    let mut rates = Rates::default();
    for row in tx.query_rows(select, &rows)? {
        let rate = rate(&row)?;
        rates.0.insert((row.parse("organisation")?, rate.from, rate.to), rate);
    }
    Ok(rates)
}

/// All that the organisation has stated, those that ran out too.
///
/// # Errors
/// When the caller is of another organisation, or the store fails.
pub fn all(tx: &mut Tx<'_>, permit: &Permit<CapRead>, organisation: &OrganisationId) -> Result<Vec<Rate>, RateError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let select = "select * from spend_rate where organisation = $1 order by source_currency, target_currency";
    Ok(tx.query(select, params![organisation])?.iter().map(rate).collect::<Result<_, _>>()?)
}

pub(super) fn find(tx: &mut Tx<'_>, organisation: &OrganisationId, from: Currency, to: Currency) -> Result<Option<Rate>, DbError> {
    let select = "select * from spend_rate where organisation = $1 and source_currency = $2 and target_currency = $3";
    tx.query_opt(select, params![organisation, from, to])?.as_ref().map(rate).transpose()
}

/// A rate as a row of any table that keeps one.
pub(super) fn rate(row: &Row) -> Result<Rate, DbError> {
    let (numerator, denominator): (i64, i64) = (row.get("numerator")?, row.get("denominator")?);
    if numerator <= 0 || denominator <= 0 {
        return Err(DbError::Corrupt("a rate is not above zero".to_owned()));
    }
    Ok(Rate {
        from: row.parse("source_currency")?,
        to: row.parse("target_currency")?,
        ratio: Ratio { numerator, denominator },
        deviation_bp: row.get("deviation_bp")?,
        source: row.get("source")?,
        valid_from: row.get("valid_from")?,
        valid_until: row.get("valid_until")?,
    })
}
