//! Outgoing charges: what slipway asks the orchestrator to pay.
//!
//! INVARIANT (intent-first): the row is written before the orchestrator is asked. Its id is the idempotency key of the call, so
//! that a repeat after a crash is the same charge. One line of an order is charged once per period: the key on
//! (resource, line, period) holds it.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{ChargeId, CloudResourceId};
use purser_values::{Env, Money, Timestamp};

/// A charge of one line of an accepted quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Also the idempotency key.
    pub id: ChargeId,
    pub resource: CloudResourceId,
    pub quote: String,
    pub line: String,
    /// The billing period for what comes again, empty for what is paid once.
    pub period: String,
    pub amount: Money,
    /// The payment token, sealed for [`Charge::seal_purpose`]. Forgotten with the outcome.
    pub payment_token: Option<Vec<u8>>,
    pub state: ChargeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeState {
    /// The orchestrator was or will be asked; the outcome is not known.
    Intended,
    Succeeded,
    /// Declined or refused: no money moved.
    Refused,
    /// The money moved and is to be given back: see [`crate::refund`].
    Owed,
    /// It was given back.
    Refunded,
}

impl ChargeState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Owed => "owed",
            Self::Refunded => "refunded",
        }
    }
}

/// What a payment token is sealed for.
#[must_use]
pub fn seal_purpose(resource: &CloudResourceId) -> String {
    format!("payment_token/{resource}")
}

/// One line to charge.
#[derive(Clone, Debug)]
pub struct ChargeLine<'a> {
    pub resource: &'a CloudResourceId,
    pub quote: &'a str,
    pub line: &'a str,
    pub period: &'a str,
    pub amount: Money,
    pub payment_token: &'a [u8],
}

/// Records the intent, or finds the one that is there.
///
/// # Errors
/// When the store fails.
pub fn charge_begin(tx: &mut Tx<'_>, env: &Env, line: &ChargeLine<'_>) -> Result<Charge, DbError> {
    let insert = "insert into cloud_charge (id, resource, quote, line, period, amount_minor, currency, payment_token, state, created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, 'intended', $9) on conflict (resource, line, period) do nothing";
    let values = params![
        ChargeId::mint(env),
        line.resource,
        line.quote,
        line.line,
        line.period,
        line.amount.minor(),
        line.amount.currency(),
        line.payment_token,
        env.now()
    ];
    tx.execute(insert, values)?;
    let select = "select * from cloud_charge where resource = $1 and line = $2 and period = $3";
    read(&tx.query_one(select, params![line.resource, line.line, line.period])?)
}

/// What the orchestrator answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeOutcome {
    pub succeeded: bool,
    /// The orchestrator's id of the charge.
    pub charge: String,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// Records the outcome and forgets the payment token; the first outcome stands and is returned.
///
/// # Errors
/// When the store fails.
pub fn charge_settle(tx: &mut Tx<'_>, id: &ChargeId, outcome: &ChargeOutcome, now: Timestamp) -> Result<ChargeState, DbError> {
    let state = if outcome.succeeded { ChargeState::Succeeded } else { ChargeState::Refused };
    let update = "update cloud_charge set state = $2, orchestrator_charge = $3, code = $4, message = $5, settled_at = $6,
                      payment_token = null
                  where id = $1 and state = 'intended'";
    tx.execute(update, params![id, state.as_str(), outcome.charge, outcome.code, outcome.message, now])?;
    Ok(read(&tx.query_one("select * from cloud_charge where id = $1", params![id])?)?.state)
}

/// All charges of an order, oldest first.
///
/// # Errors
/// When the store fails.
pub fn charge_list(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Vec<Charge>, DbError> {
    tx.query("select * from cloud_charge where resource = $1 order by created_at, id", params![resource])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Charge, DbError> {
    let state = match row.get::<String>("state")?.as_str() {
        "intended" => ChargeState::Intended,
        "succeeded" => ChargeState::Succeeded,
        "refused" => ChargeState::Refused,
        "owed" => ChargeState::Owed,
        "refunded" => ChargeState::Refunded,
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a charge"))),
    };
    Ok(Charge {
        id: row.parse("id")?,
        resource: row.parse("resource")?,
        quote: row.get("quote")?,
        line: row.get("line")?,
        period: row.get("period")?,
        amount: Money::from_minor(row.get("amount_minor")?, row.parse("currency")?),
        payment_token: row.get("payment_token")?,
        state,
    })
}
