//! The bank behind the sandbox's cards: what it asks a person, and what their answer does.

use purser_db::{DbError, Tx, params};
use purser_values::Money;
use purser_values::id::ChargeId;
use purser_values::name::ProviderName;

use super::{CAPTURED, REQUIRES_ACTION};

/// What the bank's page shows.
#[derive(Clone, Debug)]
pub struct BankQuestion {
    pub amount: Money,
    pub provider: ProviderName,
    pub last4: String,
}

/// The payment that waits for an answer, if it still does.
///
/// # Errors
/// When the store fails.
pub fn bank_question(tx: &mut Tx<'_>, charge: &ChargeId) -> Result<Option<BankQuestion>, DbError> {
    let select = "select c.amount, c.currency, c.provider, k.card from rail_sandbox_charge c
                  join rail_sandbox_card k on k.reference = c.card where c.request_key = $1 and c.outcome = $2";
    let row = tx.query_opt(select, params![charge, REQUIRES_ACTION])?;
    row.map(|row| {
        Ok(BankQuestion {
            amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
            provider: row.parse("provider")?,
            last4: row.get("card")?,
        })
    })
    .transpose()
}

/// The person answers. A yes also counts for the card, where the bank asks once only. The first answer stands.
///
/// # Errors
/// When the store fails.
pub fn bank_answer(tx: &mut Tx<'_>, charge: &ChargeId, yes: bool) -> Result<(), DbError> {
    if !yes {
        return end(tx, charge, "authentication_failed", "the person did not confirm the payment with the bank");
    }
    let card = "update rail_sandbox_card set authenticated = 1
                where reference in (select card from rail_sandbox_charge where request_key = $1 and outcome = $2)";
    tx.execute(card, params![charge, REQUIRES_ACTION])?;
    let paid = "update rail_sandbox_charge set outcome = $3, reference = $4 where request_key = $1 and outcome = $2";
    tx.execute(paid, params![charge, REQUIRES_ACTION, CAPTURED, format!("sbx_{charge}")]).map(drop)
}

/// The payment is over without an answer, or with a no.
pub(super) fn end(tx: &mut Tx<'_>, charge: &ChargeId, code: &str, message: &str) -> Result<(), DbError> {
    let update = "update rail_sandbox_charge set outcome = $3, reference = $4 where request_key = $1 and outcome = $2";
    tx.execute(update, params![charge, REQUIRES_ACTION, code, message]).map(drop)
}

/// The person was at the bank before there was anything to pay.
///
/// # Errors
/// When the store fails.
pub fn authenticate(tx: &mut Tx<'_>, reference: &str) -> Result<(), DbError> {
    tx.execute("update rail_sandbox_card set authenticated = 1 where reference = $1", params![reference]).map(drop)
}
