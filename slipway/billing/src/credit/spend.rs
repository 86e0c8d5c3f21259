//! Setting credit aside for something, spending it, and giving it back. What it is for has one subject, such as the id of a charge.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CreditId};
use purser_values::{Currency, Env, Money, Timestamp};
use purser_wire::credit::Cover;

use super::book::{Place, balance, transfer};
use super::{Credit, read};
use crate::invoice::Line;

/// What of each credit is for a subject.
struct Part {
    credit: CreditId,
    programme: String,
    held: i64,
    spent: i64,
    is_over: bool,
}

/// What can be used for something at this moment.
///
/// # Errors
/// When the store fails.
pub fn available(tx: &mut Tx<'_>, account: &CloudAccountId, cover: &Cover, currency: Currency, at: Timestamp) -> Result<Money, DbError> {
    let mut sum = 0_i64;
    for credit in usable(tx, account, cover, currency, at)? {
        sum = sum.saturating_add(balance(tx, &credit.id, Place::Available)?);
    }
    Ok(Money::from_minor(sum, currency))
}

fn usable(tx: &mut Tx<'_>, account: &CloudAccountId, cover: &Cover, currency: Currency, at: Timestamp) -> Result<Vec<Credit>, DbError> {
    let select = "select * from bill_credit where account = $1 and state = 'active' order by expires_at, id";
    let all: Vec<Credit> = tx.query(select, params![account])?.iter().map(read).collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|credit| credit.pays(cover, currency, at)).collect())
}

/// Sets aside up to `most` for a subject, soonest end first, and answers how much. What the subject has already is besides.
///
/// # Errors
/// When the store fails.
pub fn hold(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId, cover: &Cover, subject: &str, most: Money) -> Result<Money, DbError> {
    let mut rest = most.minor().max(0);
    for credit in usable(tx, account, cover, most.currency(), env.now())? {
        let part = balance(tx, &credit.id, Place::Available)?.min(rest);
        if part <= 0 {
            continue;
        }
        transfer(tx, env, &credit.id, (Place::Available, Place::Held), part, subject)?;
        let upsert = "insert into bill_credit_hold (subject, credit, held_minor, spent_minor) values ($1, $2, $3, 0)
                      on conflict (subject, credit) do update set held_minor = bill_credit_hold.held_minor + $3";
        tx.execute(upsert, params![subject, credit.id, part])?;
        rest -= part;
    }
    Ok(Money::from_minor(most.minor().max(0) - rest, most.currency()))
}

/// Spends so much of what is held for a subject; the rest of it can be used again.
///
/// # Errors
/// When less is held, or the store fails.
pub fn settle(tx: &mut Tx<'_>, env: &Env, subject: &str, spent: i64) -> Result<(), DbError> {
    let mut rest = spent;
    for part in parts(tx, subject)? {
        let now = part.held.min(rest);
        rest -= now;
        transfer(tx, env, &part.credit, (Place::Held, Place::Spent), now, subject)?;
        transfer(tx, env, &part.credit, (Place::Held, Place::Available), part.held - now, subject)?;
        set(tx, subject, &part, 0, part.spent + now)?;
        end_if_over(tx, env, &part, subject)?;
    }
    if rest == 0 { Ok(()) } else { Err(DbError::Corrupt(format!("`{subject}` has not enough credit set aside"))) }
}

/// Gives back so much of what was spent for a subject. What a credit paid that is over by now is over as well.
///
/// # Errors
/// When less was spent, or the store fails.
pub fn give_back(tx: &mut Tx<'_>, env: &Env, subject: &str, amount: i64) -> Result<(), DbError> {
    let mut rest = amount;
    for part in parts(tx, subject)?.iter().rev() {
        let now = part.spent.min(rest);
        rest -= now;
        transfer(tx, env, &part.credit, (Place::Spent, Place::Available), now, subject)?;
        set(tx, subject, part, part.held, part.spent - now)?;
        end_if_over(tx, env, part, subject)?;
    }
    if rest == 0 { Ok(()) } else { Err(DbError::Corrupt(format!("`{subject}` was not paid by so much credit"))) }
}

/// What is set aside for a subject.
///
/// # Errors
/// When the store fails.
pub fn held(tx: &mut Tx<'_>, subject: &str) -> Result<i64, DbError> {
    Ok(parts(tx, subject)?.iter().map(|part| part.held).sum())
}

/// The lines of an invoice that say what a credit pays, below nothing. To be asked for before or after [`settle`], not in between two.
pub(crate) fn lines(tx: &mut Tx<'_>, subject: &str, currency: Currency) -> Result<Vec<Line>, DbError> {
    let parts = parts(tx, subject)?;
    let paid = parts.iter().filter(|part| part.held + part.spent > 0);
    Ok(paid.map(|p| Line::amount(format!("Credit `{}`", p.programme), Money::from_minor(-(p.held + p.spent), currency))).collect())
}

fn parts(tx: &mut Tx<'_>, subject: &str) -> Result<Vec<Part>, DbError> {
    let select = "select h.*, c.programme as programme, c.state as state from bill_credit_hold h join bill_credit c on c.id = h.credit
                  where h.subject = $1 order by c.expires_at, c.id";
    let rows = tx.query(select, params![subject])?;
    let part = |row: &purser_db::Row| {
        Ok(Part {
            credit: row.parse("credit")?,
            programme: row.get("programme")?,
            held: row.get("held_minor")?,
            spent: row.get("spent_minor")?,
            is_over: row.get::<String>("state")? == "expired",
        })
    };
    rows.iter().map(part).collect()
}

fn set(tx: &mut Tx<'_>, subject: &str, part: &Part, held: i64, spent: i64) -> Result<(), DbError> {
    let update = "update bill_credit_hold set held_minor = $3, spent_minor = $4 where subject = $1 and credit = $2";
    tx.execute(update, params![subject, part.credit, held, spent]).map(drop)
}

/// What comes back to a credit whose time is over goes where the rest of it went.
fn end_if_over(tx: &mut Tx<'_>, env: &Env, part: &Part, subject: &str) -> Result<(), DbError> {
    if !part.is_over {
        return Ok(());
    }
    let left = balance(tx, &part.credit, Place::Available)?;
    transfer(tx, env, &part.credit, (Place::Available, Place::Expired), left, subject)
}
