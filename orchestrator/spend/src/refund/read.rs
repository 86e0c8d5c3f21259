//! Refunds, as they stand.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, ChargeId, OrganisationId, RefundId};
use purser_values::name::ProviderName;
use purser_values::{Money, Sha256Digest, Timestamp};

use super::Refund;
use crate::charge::Charge;
use crate::limits;
use crate::rail::RefundOrder;

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<Refund>, DbError> {
    tx.query_opt("select * from spend_refund where id = $1", params![id])?.as_ref().map(refund_row).transpose()
}

/// The refunds of a charge, oldest first, failed ones included.
///
/// # Errors
/// When the store fails.
pub fn of_charge(tx: &mut Tx<'_>, charge: &ChargeId) -> Result<Vec<Refund>, DbError> {
    tx.query("select * from spend_refund where charge = $1 order by begun_at, id", params![charge])?.iter().map(refund_row).collect()
}

/// What an organisation (or one agent of it) was given back in a span of time, oldest first, failed ones included.
///
/// # Errors
/// When the store fails.
pub fn within(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    only: Option<&AgentId>,
    (since, until): (Timestamp, Timestamp),
) -> Result<Vec<Refund>, DbError> {
    let select = "select * from spend_refund where organisation = $1 and begun_at >= $2 and begun_at < $3 and (agent = $4 or $4 = '')
                  order by begun_at, id";
    let only = only.map_or("", AgentId::as_str);
    let rows = tx.query(select, params![organisation, since, until, only])?;
    rows.iter().map(refund_row).collect()
}

/// What came back of a charge.
///
/// # Errors
/// When the store fails.
pub fn given(tx: &mut Tx<'_>, charge: &Charge) -> Result<Money, DbError> {
    let select = "select cast(coalesce(sum(amount), 0) as bigint) as total from spend_refund where charge = $1 and state = 'succeeded'";
    Ok(Money::from_minor(tx.query_one(select, params![charge.id])?.get("total")?, charge.amount.currency()))
}

/// What may still be given back of a charge: what is under way counts as given.
pub(super) fn left(tx: &mut Tx<'_>, charge: &Charge) -> Result<Money, DbError> {
    let select = "select cast(coalesce(sum(amount), 0) as bigint) as total from spend_refund
                  where charge = $1 and state in ('begun', 'succeeded')";
    let given: i64 = tx.query_one(select, params![charge.id])?.get("total")?;
    Ok(Money::from_minor(charge.amount.minor().saturating_sub(given), charge.amount.currency()))
}

/// What the rail must be asked (again) for a refund that was begun; nothing once it has ended.
///
/// # Errors
/// When the store fails.
pub fn order(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<RefundOrder>, DbError> {
    let select = "select r.id, r.amount, r.currency, r.charge, c.rail_reference, m.rail from spend_refund r
                  join spend_charge c on c.id = r.charge join spend_hold h on h.id = c.hold
                  join payment_method m on m.id = h.payment_method
                  where r.id = $1 and r.state = 'begun'";
    let row = tx.query_opt(select, params![id])?;
    row.map(|row| {
        Ok(RefundOrder {
            refund: row.parse("id")?,
            rail: row.get("rail")?,
            charge: row.parse("charge")?,
            capture: row.get("rail_reference")?,
            amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        })
    })
    .transpose()
}

/// The refunds that were begun before this moment and have no outcome: a crash, or a rail that gave no answer.
///
/// # Errors
/// When the store fails.
pub fn unfinished(tx: &mut Tx<'_>, before: Timestamp) -> Result<Vec<RefundId>, DbError> {
    let select = "select id from spend_refund where state = 'begun' and begun_at < $1 order by begun_at limit $2";
    tx.query(select, params![before, limits::BATCH])?.iter().map(|row| row.parse("id")).collect()
}

/// The provider's refund under this key, with the digest that the key is bound to.
pub(super) fn by_key(tx: &mut Tx<'_>, provider: &ProviderName, key: &str) -> Result<Option<(Refund, Sha256Digest)>, DbError> {
    let row = tx.query_opt("select * from spend_refund where provider = $1 and request_key = $2", params![provider, key])?;
    row.map(|row| Ok((refund_row(&row)?, row.get("request_digest")?))).transpose()
}

fn refund_row(row: &Row) -> Result<Refund, DbError> {
    Ok(Refund {
        id: row.parse("id")?,
        charge: row.parse("charge")?,
        provider: row.parse("provider")?,
        organisation: row.parse("organisation")?,
        agent: row.parse("agent")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        reason: row.get("reason")?,
        state: row.parse("state")?,
        code: row.get("code")?,
        message: row.get("message")?,
        begun_at: row.get("begun_at")?,
        ended_at: row.get("ended_at")?,
    })
}
