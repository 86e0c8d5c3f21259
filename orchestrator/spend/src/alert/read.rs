//! The alerts that were raised.

use purser_authority::Permit;
use purser_authority::action::SpendRead;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{AlertId, OrganisationId};

use super::Alert;
use crate::spender;
use crate::statement::StatementError;

/// Most alerts in one answer.
const PAGE: i64 = 200;

/// One alert.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &AlertId) -> Result<Option<Alert>, DbError> {
    tx.query_opt("select * from alert where id = $1", params![id])?.as_ref().map(read).transpose()
}

/// The organisation's alerts, newest first, before a moment (or now); an agent sees those about itself.
///
/// # Errors
/// When the organisation is not the caller's, or the store fails.
pub fn list(
    tx: &mut Tx<'_>,
    permit: &Permit<SpendRead>,
    organisation: &OrganisationId,
    before: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<Alert>, StatementError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let select = "select * from alert where organisation = $1 and at < $2 and (agent = $3 or $3 = '') order by at desc, id desc limit $4";
    let agent = permit.caller().agent().map(ToString::to_string).unwrap_or_default();
    let before = before.map_or(i64::MAX, Timestamp::as_micros);
    let rows = tx.query(select, params![organisation, before, agent, limit.clamp(1, PAGE)])?;
    Ok(rows.iter().map(read).collect::<Result<_, DbError>>()?)
}

fn read(row: &Row) -> Result<Alert, DbError> {
    Ok(Alert {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        agent: row.parse_opt("agent")?,
        at: row.get("at")?,
        cause: row.json("cause")?,
    })
}
