//! Applications, as they stand.

use purser_crypto::seal::Keyring;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Money;
use purser_values::id::{CreditApplicationId, OrganisationId};
use purser_values::name::ProviderName;

use super::apply::sealed_for;
use super::{Application, CreditError, State};
use crate::limits::BATCH;

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &CreditApplicationId) -> Result<Option<Application>, DbError> {
    tx.query_opt("select * from credit_application where id = $1", params![id])?.as_ref().map(read).transpose()
}

/// The organisation's, newest first.
///
/// # Errors
/// When the store fails.
pub fn of_organisation(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Application>, DbError> {
    let select = "select * from credit_application where organisation = $1 order by asked_at desc, id desc";
    tx.query(select, params![organisation])?.iter().map(read).collect()
}

/// Everybody's, those that nobody has decided first: for the operator's people.
///
/// # Errors
/// When the store fails.
pub fn waiting(tx: &mut Tx<'_>) -> Result<Vec<Application>, DbError> {
    let select = "select * from credit_application order by case state when 'pending' then 0 else 1 end, asked_at desc, id desc limit $1";
    tx.query(select, params![BATCH])?.iter().map(read).collect()
}

/// What was approved for an organisation at a provider and is not redeemed.
///
/// # Errors
/// When the store fails.
pub fn waiting_at(tx: &mut Tx<'_>, organisation: &OrganisationId, provider: &ProviderName) -> Result<Vec<Application>, DbError> {
    let select = "select * from credit_application where organisation = $1 and provider = $2 and state = $3 order by asked_at, id";
    tx.query(select, params![organisation, provider, State::Approved.name()])?.iter().map(read).collect()
}

/// What was written for the one who decides.
///
/// # Errors
/// When there is no such application, or it cannot be opened.
pub fn evidence(tx: &mut Tx<'_>, keyring: &Keyring, id: &CreditApplicationId) -> Result<String, CreditError> {
    let row = tx.query_opt("select evidence from credit_application where id = $1", params![id])?.ok_or(CreditError::Unknown)?;
    let sealed: Vec<u8> = row.get("evidence")?;
    Ok(keyring.open_text(&sealed_for(id), &sealed)?.expose().clone())
}

fn read(row: &Row) -> Result<Application, DbError> {
    Ok(Application {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        provider: row.parse("provider")?,
        programme: row.get("programme")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        months: row.get("months")?,
        requester: row.parse("requester")?,
        agent: row.parse_opt("agent")?,
        evidence_sha256: row.get("evidence_sha256")?,
        state: row.parse("state")?,
        asked_at: row.get("asked_at")?,
        decided_at: row.get("decided_at")?,
        decided_by: row.parse_opt("decided_by")?,
        reason: row.get("reason")?,
        ended_at: row.get("ended_at")?,
    })
}
