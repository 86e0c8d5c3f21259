//! Charges, as they stand.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{ChargeId, HoldId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Money, Sha256Digest, Timestamp};

use super::Charge;
use crate::limits;
use crate::rail::RailOrder;
use crate::spender::Spender;

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &ChargeId) -> Result<Option<Charge>, DbError> {
    tx.query_opt("select * from spend_charge where id = $1", params![id])?.as_ref().map(charge_row).transpose()
}

/// The charge if it is the organisation's; to others there is none.
///
/// # Errors
/// When the store fails.
pub fn find_own(tx: &mut Tx<'_>, organisation: &OrganisationId, id: &ChargeId) -> Result<Option<Charge>, DbError> {
    Ok(find(tx, id)?.filter(|charge| charge.organisation.as_ref() == Some(organisation)))
}

/// The charges of a hold, oldest first, refused ones included.
///
/// # Errors
/// When the store fails.
pub fn of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<Vec<Charge>, DbError> {
    tx.query("select * from spend_charge where hold = $1 order by begun_at, id", params![hold])?.iter().map(charge_row).collect()
}

/// What the rail must be asked again for a charge that was begun; nothing once it has ended.
///
/// # Errors
/// When the store fails.
pub fn order(tx: &mut Tx<'_>, id: &ChargeId) -> Result<Option<RailOrder>, DbError> {
    let select = "select c.id, c.amount, c.currency, c.provider, m.rail, m.reference, l.description from spend_charge c
                  join spend_hold h on h.id = c.hold join payment_method m on m.id = h.payment_method
                  join spend_hold_line l on l.hold = c.hold and l.charge = c.id
                  where c.id = $1 and c.state in ('begun', 'requires_action')";
    let row = tx.query_opt(select, params![id])?;
    row.map(|row| {
        Ok(RailOrder {
            charge: row.parse("id")?,
            rail: row.get("rail")?,
            method: row.get("reference")?,
            amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
            provider: row.parse("provider")?,
            description: row.get("description")?,
        })
    })
    .transpose()
}

/// The charges that were begun before this moment and have no outcome: a crash, or a rail that gave no answer.
///
/// # Errors
/// When the store fails.
pub fn unfinished(tx: &mut Tx<'_>, before: Timestamp) -> Result<Vec<ChargeId>, DbError> {
    // What a seller takes at the rail itself is looked at by its own job, for as long as it can be.
    let select = "select id from spend_charge c where state = 'begun' and begun_at < $1
                  and not exists (select 1 from spend_seller_token s where s.charge = c.id) order by begun_at limit $2";
    tx.query(select, params![before, limits::BATCH])?.iter().map(|row| row.parse("id")).collect()
}

/// The organisation's charge that the rail knows by this capture.
pub(crate) fn by_capture(tx: &mut Tx<'_>, rail: &str, capture: &str) -> Result<Option<Charge>, DbError> {
    let select = "select c.* from spend_charge c join spend_hold h on h.id = c.hold join payment_method m on m.id = h.payment_method
                  where c.rail_reference = $2 and m.rail = $1";
    tx.query_opt(select, params![rail, capture])?.as_ref().map(charge_row).transpose()
}

/// The provider's charge under this key, with the digest that the key is bound to.
pub(super) fn by_key(tx: &mut Tx<'_>, provider: &ProviderName, key: &str) -> Result<Option<(Charge, Sha256Digest)>, DbError> {
    let row = tx.query_opt("select * from spend_charge where provider = $1 and request_key = $2", params![provider, key])?;
    row.map(|row| Ok((charge_row(&row)?, row.get("request_digest")?))).transpose()
}

pub(crate) fn charge_row(row: &Row) -> Result<Charge, DbError> {
    let organisation: Option<OrganisationId> = row.parse_opt("organisation")?;
    let agent = row.parse_opt("agent")?;
    let spender = organisation.clone().zip(agent).map(|(organisation, agent)| Spender { organisation, agent });
    Ok(Charge {
        id: row.parse("id")?,
        provider: row.parse("provider")?,
        organisation,
        spender,
        hold: row.parse_opt("hold")?,
        token: row.parse_opt("token")?,
        line: row.get("line")?,
        period: row.get("period")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        remote_resource: row.get("remote_resource")?,
        state: row.parse("state")?,
        code: row.get("code")?,
        message: row.get("message")?,
        begun_at: row.get("begun_at")?,
        ended_at: row.get("ended_at")?,
    })
}
