//! The book of each credit: where its money is, and every movement between the places. Movements are never changed.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CreditId, TransferId};
use purser_values::{Currency, Env};

/// Where a credit's money can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where it comes from; below nothing by what was given.
    Given,
    Available,
    /// Set aside for an order, a renewal or use.
    Held,
    Spent,
    Expired,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Available => "available",
            Self::Held => "held",
            Self::Spent => "spent",
            Self::Expired => "expired",
        }
    }
}

/// Moves so much; moving nothing is nothing.
pub(crate) fn transfer(
    tx: &mut Tx<'_>,
    env: &Env,
    credit: &CreditId,
    (from, to): (Place, Place),
    minor: i64,
    subject: &str,
) -> Result<(), DbError> {
    if minor == 0 {
        return Ok(());
    }
    let insert =
        "insert into bill_credit_transfer (id, credit, source, target, amount_minor, subject, at) values ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute(insert, params![TransferId::mint(env), credit, from.name(), to.name(), minor, subject, env.now()])?;
    for (place, by) in [(from, -minor), (to, minor)] {
        let upsert = "insert into bill_credit_book (credit, place, balance) values ($1, $2, $3)
                      on conflict (credit, place) do update set balance = bill_credit_book.balance + $3 returning balance";
        let balance: i64 = tx.query_one(upsert, params![credit, place.name(), by])?.get("balance")?;
        if balance < 0 && place != Place::Given {
            return Err(DbError::Corrupt(format!("`{credit}` would have {balance} {}", place.name())));
        }
    }
    Ok(())
}

/// How much is there, in minor units.
pub(crate) fn balance(tx: &mut Tx<'_>, credit: &CreditId, place: Place) -> Result<i64, DbError> {
    let select = "select balance from bill_credit_book where credit = $1 and place = $2";
    tx.query_opt(select, params![credit, place.name()])?.map_or(Ok(0), |row| row.get("balance"))
}

/// What was ever given under a programme, in minor units.
pub(crate) fn given(tx: &mut Tx<'_>, programme: &str, currency: Currency) -> Result<i64, DbError> {
    let sum = "select cast(coalesce(sum(given_minor), 0) as bigint) as n from bill_credit where programme = $1 and currency = $2";
    tx.query_one(sum, params![programme, currency])?.get("n")
}

/// Everything that does not add up: a book whose sum is not nothing, a place that is not what its movements say, a hold that is not there.
///
/// # Errors
/// When the store fails.
pub fn differences(tx: &mut Tx<'_>) -> Result<Vec<String>, DbError> {
    let sums =
        "select credit, cast(sum(balance) as bigint) as n from bill_credit_book group by credit having sum(balance) <> 0 order by credit";
    let moved = "select b.credit as credit, b.place as place from bill_credit_book b where b.balance <>
                   (select coalesce(sum(amount_minor), 0) from bill_credit_transfer t where t.credit = b.credit and t.target = b.place)
                 - (select coalesce(sum(amount_minor), 0) from bill_credit_transfer t where t.credit = b.credit and t.source = b.place)
                 order by b.credit, b.place";
    let held = "select b.credit as credit from bill_credit_book b where b.place in ('held', 'spent') and b.balance <>
                  (select coalesce(sum(case when b.place = 'held' then held_minor else spent_minor end), 0)
                   from bill_credit_hold h where h.credit = b.credit) order by b.credit";
    let mut found = Vec::new();
    for (sql, what) in [(sums, "does not add up to nothing"), (moved, "is not what was moved"), (held, "is not what is held or spent")] {
        for row in tx.query(sql, params![])? {
            found.push(format!("{} {what}", row.get::<String>("credit")?));
        }
    }
    Ok(found)
}
