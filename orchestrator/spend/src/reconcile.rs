//! The standing reconciler: what [`verify::check`](crate::verify::check) finds while the system runs stops new holds.
//!
//! Books that do not add up are a defect or a hand in the database, and whoever goes on spending from them spends what may not be there.
//! So a difference stops new holds in its currency until the operator has looked and said so. What was held before is charged and
//! given back as ever: that money was agreed to.
//!
//! A difference is known by its place and its size. One that the operator has acknowledged stops nothing while it stays as it is;
//! when it grows it is another.

use std::collections::BTreeSet;

use purser_authority::action::LedgerAcknowledge;
use purser_authority::{Caller, Denied, Done, Event, Outcome, Permit};
use purser_db::{DbError, Row, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Env, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::verify::Difference;

/// A difference that was found, and whether somebody has looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    #[serde(flatten)]
    pub difference: Difference,
    pub found_at: Timestamp,
    pub acknowledged_at: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for ReconcileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }
}

/// Writes down what was found, and answers how much of it is new. What is not found any more is forgotten.
///
/// # Errors
/// When the store fails.
pub fn stop(tx: &mut Tx<'_>, env: &Env, found: &[Difference]) -> Result<Done<usize>, DbError> {
    let now: BTreeSet<(&str, i64)> = found.iter().map(|one| (one.place.as_str(), one.off_minor)).collect();
    for known in all(tx)? {
        let Difference { place, off_minor, .. } = &known.difference;
        if !now.contains(&(place.as_str(), *off_minor)) {
            tx.execute("delete from ledger_difference where place = $1 and off_minor = $2", params![place, *off_minor])?;
        }
    }
    let insert = "insert into ledger_difference (place, off_minor, currency, what, found_at) values ($1, $2, $3, $4, $5)
                  on conflict (place, off_minor) do nothing";
    let mut done = Done::quiet(0);
    for Difference { currency, place, off_minor, what } in found {
        if tx.execute(insert, params![place, *off_minor, currency, what, env.now()])? == 0 {
            continue;
        }
        done.value += 1;
        let event = Event::new("ledger_reconcile", Outcome::Failed("ledger_difference".to_owned()), &Caller::System, place.as_str());
        done = done.and_event(event.with(json!({"currency": currency, "off_minor": off_minor, "what": what})));
    }
    Ok(done)
}

/// The operator has looked: new holds are taken again. Answers what was acknowledged.
///
/// # Errors
/// When the store fails.
pub fn acknowledge(tx: &mut Tx<'_>, env: &Env, permit: &Permit<LedgerAcknowledge>) -> Result<Done<Vec<Known>>, ReconcileError> {
    let mut open = all(tx)?;
    open.retain(|known| known.acknowledged_at.is_none());
    tx.execute("update ledger_difference set acknowledged_at = $1 where acknowledged_at is null", params![env.now()])?;
    let events: Vec<Event> = open
        .iter()
        .map(|known| Event::done(permit.verb(), permit.caller(), &known.difference.place).with(json!({"difference": known.difference})))
        .collect();
    Ok(Done { value: open, events, jobs: Vec::new() })
}

/// Every difference that is there, those that nobody has looked at first.
///
/// # Errors
/// When the store fails.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Known>, DbError> {
    let select = "select place, off_minor, currency, what, found_at, acknowledged_at from ledger_difference
                  order by case when acknowledged_at is null then 0 else 1 end, place, off_minor";
    tx.query(select, params![])?.iter().map(known).collect()
}

/// The currencies in which nothing may be set aside; empty text stands for all.
pub(crate) const STOPPED: &str = "select distinct currency from ledger_difference where acknowledged_at is null";

/// What [`STOPPED`] answers.
pub(crate) fn stopped_from(rows: &[Row]) -> Result<BTreeSet<String>, DbError> {
    rows.iter().map(|row| row.get("currency")).collect()
}

fn known(row: &Row) -> Result<Known, DbError> {
    Ok(Known {
        difference: Difference {
            currency: row.get("currency")?,
            place: row.get("place")?,
            off_minor: row.get("off_minor")?,
            what: row.get("what")?,
        },
        found_at: row.get("found_at")?,
        acknowledged_at: row.get("acknowledged_at")?,
    })
}
