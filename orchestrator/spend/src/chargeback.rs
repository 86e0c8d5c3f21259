//! A cardholder disputes a payment at their bank.
//!
//! The rule: from the moment that a rail says so, nothing more is held or charged for that provider on that payment method, until the
//! bank has decided for the payment, or a person of the organisation lifts it. Other providers and other cards go on. The ledger does not
//! move: what the bank and the processor settle between them is listed beside the charge, and gives no cap its room back.

mod lift;
mod record;

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, ChargeId, OrganisationId, PaymentMethodId};
use purser_values::name::ProviderName;
use purser_values::{Money, Timestamp};
use serde::Serialize;

use crate::rail::ChargebackState;

pub use lift::lift;
pub use record::record;

/// A dispute as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Chargeback {
    pub charge: ChargeId,
    pub provider: ProviderName,
    pub agent: AgentId,
    pub payment_method: PaymentMethodId,
    pub amount: Money,
    /// The rail's word for why.
    pub reason: String,
    pub state: ChargebackState,
    /// Whether it still stops charges of the payment method at the provider.
    pub stops: bool,
    #[serde(rename = "at")]
    pub since: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// Writes beside the method at which providers disputes stop it, so that holds and charges need not look here.
fn keep_stopped(tx: &mut Tx<'_>, method: &PaymentMethodId) -> Result<(), DbError> {
    let select = "select distinct provider from spend_chargeback
                  where payment_method = $1 and state <> 'won' and lifted_at is null order by provider";
    let rows = tx.query(select, params![method])?;
    let providers = rows.iter().map(|row| row.get::<String>("provider")).collect::<Result<Vec<_>, _>>()?;
    let stopped = serde_json::json!(providers).to_string();
    tx.execute("update payment_method set stopped = $2 where id = $1", params![method, stopped]).map(drop)
}

/// The organisation's disputes, the newest first; an agent's only, where one is named.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId, agent: Option<&AgentId>) -> Result<Vec<Chargeback>, DbError> {
    let select = "select * from spend_chargeback where organisation = $1 and (agent = $2 or $2 = '')
                  order by since desc, charge limit $3";
    let only = agent.map_or("", AgentId::as_str);
    tx.query(select, params![organisation, only, crate::limits::BATCH])?.iter().map(row).collect()
}

fn row(row: &Row) -> Result<Chargeback, DbError> {
    let state = match row.get::<String>("state")?.as_str() {
        "open" => ChargebackState::Open,
        "won" => ChargebackState::Won,
        "lost" => ChargebackState::Lost,
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a chargeback"))),
    };
    Ok(Chargeback {
        charge: row.parse("charge")?,
        provider: row.parse("provider")?,
        agent: row.parse("agent")?,
        payment_method: row.parse("payment_method")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        reason: row.get("reason")?,
        state,
        stops: state != ChargebackState::Won && row.get::<Option<Timestamp>>("lifted_at")?.is_none(),
        since: row.get("since")?,
        ended_at: row.get("ended_at")?,
    })
}
