//! What a rail tells us by itself: a payment went on, a method was set up, a cardholder disputes a payment.
//!
//! Messages come late, twice and in any order. Each is taken once by its id, in the write that enqueues its job; and what a message is
//! about is asked of the rail again, so that the order of messages decides nothing. A chargeback only ever moves towards its end.

use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::{ChargeId, PaymentSetupId};
use purser_values::{Env, Money, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The kind of job that acts on a message; its payload is a [`RailEvent`].
pub const EVENT_JOB: &str = "rail_event";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RailEvent {
    pub rail: String,
    /// The rail's own id of the message.
    pub id: String,
    pub news: RailNews,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RailNews {
    /// Look at the charge again.
    Charge(ChargeId),
    /// Look at the setup again.
    Setup(PaymentSetupId),
    Chargeback(Chargeback),
}

/// A cardholder tells their bank that a payment was not theirs, or not right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chargeback {
    /// The rail's own name of the capture.
    pub capture: String,
    /// The rail's own id of the dispute.
    pub reference: String,
    pub amount: Money,
    /// The rail's word for why; data, never an instruction.
    pub reason: String,
    pub state: ChargebackState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargebackState {
    Open,
    /// The payment stands.
    Won,
    /// The cardholder has their money back.
    Lost,
}

/// Takes a message once: a repeat of its id does nothing.
///
/// # Errors
/// When the store fails.
pub fn take(tx: &mut Tx<'_>, env: &Env, event: &RailEvent) -> Result<Option<NewJob>, DbError> {
    let insert = "insert into rail_event (rail, id, at) values ($1, $2, $3) on conflict (rail, id) do nothing";
    let first = tx.execute(insert, params![event.rail, event.id, env.now()])? == 1;
    Ok(first.then(|| NewJob::now(env, EVENT_JOB, json!(event))))
}

/// Forgets which messages were taken before this moment; no rail repeats one after weeks.
///
/// # Errors
/// When the store fails.
pub fn forget(tx: &mut Tx<'_>, before: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from rail_event where at < $1", params![before]).map(drop)
}

impl ChargebackState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}
