//! What an account has left of its credits, in the words of the protocol.

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Money, Timestamp};
use purser_wire::credit::{Credit as View, CreditState, Credits};

use super::book::{Place, balance};
use super::forecast::forecast_of;
use super::{Credit, read};

/// All that the account ever had, soonest end first.
///
/// # Errors
/// When the store fails.
pub fn credit_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Credit>, DbError> {
    let select = "select * from bill_credit where account = $1 order by expires_at, id";
    tx.query(select, params![account])?.iter().map(read).collect()
}

/// # Errors
/// When the store fails.
pub fn credits(tx: &mut Tx<'_>, account: &CloudAccountId, now: Timestamp) -> Result<Credits, DbError> {
    let mut all = Vec::new();
    for credit in credit_list(tx, account)? {
        let left = balance(tx, &credit.id, Place::Available)?;
        let held = balance(tx, &credit.id, Place::Held)?;
        let money = |minor| Money::from_minor(minor, credit.given.currency());
        all.push(View {
            id: credit.id.to_string(),
            programme: credit.programme.clone(),
            state: match left {
                _ if credit.is_over || now >= credit.expires_at => CreditState::Expired,
                0 if held == 0 => CreditState::Used,
                _ => CreditState::Active,
            },
            given: credit.given,
            left: money(if credit.is_over || now >= credit.expires_at { 0 } else { left }),
            held: (held > 0).then(|| money(held)),
            redeemed_at: credit.redeemed_at,
            expires_at: credit.expires_at,
            covers: credit.covers.clone(),
        });
    }
    let forecast = forecast_of(tx, account, now)?;
    Ok(Credits { credits: all, forecast })
}
