//! Double entry: accounts, and movements that take from one what they give to another.
//!
//! INVARIANT (sum-zero): an account opens at zero and every movement adds to one account what it takes from another of the
//! same currency, so all balances of a currency add up to zero. A movement is never changed or removed.

use std::collections::BTreeMap;

use purser_db::{DbError, Tx, params, values};
use purser_values::id::TransferId;
use purser_values::{Currency, Env, Money};

use crate::writes::{Must, Writes};

/// Why money (or room for it) moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Cap,
    Hold,
    Release,
    Capture,
    Payment,
    Refund,
}

/// Whether the source may go below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Only if the source holds at least the amount; checked in the statement that takes it.
    Covered,
    /// For sources that stand for the world outside, and for taking back room that is already used.
    Free,
}

#[derive(Clone, Copy, Debug)]
pub struct Movement<'a> {
    pub reason: Reason,
    pub source: &'a str,
    pub target: &'a str,
    pub amount: Money,
    /// The id of what it was for.
    pub subject: &'a str,
    pub guard: Guard,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Capture => "capture",
            Self::Payment => "payment",
            Self::Refund => "refund",
        }
    }
}

/// Makes the account if there is none.
pub fn open(tx: &mut Tx<'_>, account: &str, currency: Currency) -> Result<(), DbError> {
    let insert = "insert into ledger_account (id, currency, balance) values ($1, $2, 0) on conflict (id) do nothing";
    tx.execute(insert, params![account, currency]).map(drop)
}

/// Moves the amount, or tells that the source does not cover it. Nothing is moved for an amount of zero.
pub fn transfer(tx: &mut Tx<'_>, env: &Env, movement: &Movement<'_>) -> Result<bool, DbError> {
    let Movement { amount, source, target, .. } = *movement;
    if amount.is_zero() {
        return Ok(true);
    }
    if !amount.is_positive() {
        return Err(DbError::Other("a movement must have a positive amount".to_owned()));
    }
    let (minor, currency) = (amount.minor(), amount.currency());
    let take = match movement.guard {
        Guard::Covered => "update ledger_account set balance = balance - $2 where id = $1 and currency = $3 and balance >= $2",
        Guard::Free => "update ledger_account set balance = balance - $2 where id = $1 and currency = $3",
    };
    if tx.execute(take, params![source, minor, currency])? == 0 {
        return match movement.guard {
            Guard::Covered => Ok(false),
            Guard::Free => Err(missing(source)),
        };
    }
    let give = "update ledger_account set balance = balance + $2 where id = $1 and currency = $3";
    if tx.execute(give, params![target, minor, currency])? != 1 {
        return Err(missing(target));
    }
    let insert = "insert into ledger_transfer (id, reason, source, target, amount, currency, subject, at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let id = TransferId::mint(env);
    tx.execute(insert, params![id, movement.reason.name(), source, target, minor, currency, movement.subject, env.now()])?;
    Ok(true)
}

/// Makes all the accounts, which nobody has made before.
pub fn open_all(writes: &mut Writes, accounts: &[(String, Currency)]) {
    let insert = "insert into ledger_account (id, currency, balance) {values:text,text,int} on conflict (id) do nothing";
    writes.add(Must::EachOnce, insert, accounts.iter().map(|(account, currency)| values![account, currency, 0]).collect());
}

/// Moves all the amounts, which the caller knows to be covered: it has read the balances and locked their rows in this write.
///
/// Each account is changed once, by the sum of what it gives and takes; a source that is guarded and would go below zero all the
/// same fails the write.
pub fn transfer_all(writes: &mut Writes, env: &Env, movements: &[Movement<'_>]) -> Result<(), DbError> {
    let (mut changes, mut rows) = (BTreeMap::<(&str, Currency), (i64, bool)>::new(), Vec::with_capacity(movements.len()));
    let now = env.now();
    for Movement { reason, source, target, amount, subject, guard } in movements {
        if amount.is_zero() {
            continue;
        }
        if !amount.is_positive() {
            return Err(DbError::Other("a movement must have a positive amount".to_owned()));
        }
        let (minor, currency) = (amount.minor(), amount.currency());
        for (account, change) in [(*source, minor.checked_neg()), (*target, Some(minor))] {
            let (sum, guarded) = changes.entry((account, currency)).or_default();
            *sum =
                change.and_then(|change| sum.checked_add(change)).ok_or_else(|| DbError::Other("a sum is beyond its type".to_owned()))?;
            *guarded |= *guard == Guard::Covered && account == *source;
        }
        rows.push(values![*subject, TransferId::mint(env), reason.name(), *source, *target, minor, currency, now]);
    }
    let changes = changes.into_iter().map(|((account, currency), (change, guarded))| values![account, currency, change, guarded]).collect();
    let update = "update ledger_account set balance = balance + r.c3 from {rows:text,text,int,int}
                  where ledger_account.id = r.c1 and ledger_account.currency = r.c2 and (r.c4 = 0 or balance + r.c3 >= 0)";
    writes.add(Must::EachFound, update, changes);
    let insert = "insert into ledger_transfer (subject, id, reason, source, target, amount, currency, at)
                  {values:text,text,text,text,text,int,text,int}";
    writes.add(Must::Nothing, insert, rows);
    Ok(())
}

pub fn balance(tx: &mut Tx<'_>, account: &str) -> Result<i64, DbError> {
    let row = tx.query_opt("select balance from ledger_account where id = $1", params![account])?;
    row.map_or(Ok(0), |row| row.get("balance"))
}

/// For inserts that say `on conflict do nothing` on a key that was just looked for: on PostgreSQL a rival's row that this
/// snapshot cannot see then asks for another try of the whole write, instead of failing it. Seeing the row is a defect.
pub fn once(inserted: u64) -> Result<(), DbError> {
    if inserted == 1 { Ok(()) } else { Err(DbError::Contention) }
}

fn missing(account: &str) -> DbError {
    DbError::Corrupt(format!("there is no ledger account `{account}` in this currency"))
}
