//! Outgoing refunds: what slipway gives back of what it charged.
//!
//! INVARIANT (intent-first): the refund and the job that sends it are one write with the failure or removal that it follows from. Its id is
//! the idempotency key of the call, so that a repeat after a crash is the same refund. A charge is given back whole and once: the key on
//! the charge holds it.

use std::str::FromStr;

use purser_db::jobs::{NewJob, enqueue};
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{ChargeId, CloudResourceId, RefundId};
use purser_values::{Env, Money, Timestamp};
use purser_wire::refund::RefundReason;
use serde_json::json;

/// The kind of job that sends a refund; its payload is `{"refund": id}`.
pub const JOB: &str = "refund";

/// What is given back of one charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Also the idempotency key.
    pub id: RefundId,
    pub charge: ChargeId,
    pub resource: CloudResourceId,
    /// The orchestrator's id of the charge.
    pub orchestrator_charge: String,
    pub amount: Money,
    pub reason: RefundReason,
    pub state: RefundState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// The orchestrator was or will be told; the outcome is not known.
    Intended,
    Succeeded,
    /// The orchestrator or the payer's card said no for good. It stays owed, and a person must look.
    Refused,
}

impl RefundState {
    const ALL: [Self; 3] = [Self::Intended, Self::Succeeded, Self::Refused];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for RefundState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == s).ok_or_else(|| format!("`{s}` is no state of a refund"))
    }
}

/// Everything that was charged for an order is to be given back: marks it owed and enqueues what gives it back. Answers all refunds of the
/// order; doing it again changes nothing.
///
/// # Errors
/// When the store fails.
pub fn refund_begin(tx: &mut Tx<'_>, env: &Env, resource: &CloudResourceId, reason: &RefundReason) -> Result<Vec<Refund>, DbError> {
    let charged = "select id, orchestrator_charge, amount_minor, currency from cloud_charge
                   where resource = $1 and state = 'succeeded' and amount_minor > 0 order by id";
    // What a credit paid in whole is given back where the credits are.
    let credit = "update cloud_charge set state = 'refunded' where resource = $1 and state = 'succeeded' and amount_minor = 0";
    tx.execute(credit, params![resource])?;
    for row in tx.query(charged, params![resource])? {
        let (id, charge, at): (_, ChargeId, String) = (RefundId::mint(env), row.parse("id")?, row.get("orchestrator_charge")?);
        let (minor, currency): (i64, String) = (row.get("amount_minor")?, row.get("currency")?);
        tx.execute("update cloud_charge set state = 'owed' where id = $1", params![charge])?;
        let insert =
            "insert into cloud_refund (id, charge, resource, orchestrator_charge, amount_minor, currency, reason, state, created_at)
                      values ($1, $2, $3, $4, $5, $6, $7, 'intended', $8)";
        tx.execute(insert, params![id, charge, resource, at, minor, currency, reason.as_str(), env.now()])?;
        enqueue(tx, env, &job(env, &id, String::new()))?;
    }
    refund_list(tx, resource)
}

/// The refunds of an order.
///
/// # Errors
/// When the store fails.
pub fn refund_list(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Vec<Refund>, DbError> {
    tx.query("select * from cloud_refund where resource = $1 order by id", params![resource])?.iter().map(read).collect()
}

/// # Errors
/// When the store fails.
pub fn refund_get(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<Refund>, DbError> {
    tx.query_opt("select * from cloud_refund where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

/// Enqueues every refund without an outcome anew: after a start, whose predecessor may hold their jobs' leases. Answers how many.
///
/// # Errors
/// When the store fails.
pub fn refund_resume(tx: &mut Tx<'_>, env: &Env) -> Result<usize, DbError> {
    let rows = tx.query("select id from cloud_refund where state = 'intended' order by id", params![])?;
    for row in &rows {
        enqueue(tx, env, &job(env, &row.parse("id")?, format!(":{}", env.now().as_micros())))?;
    }
    Ok(rows.len())
}

/// What the orchestrator answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOutcome {
    pub succeeded: bool,
    /// The orchestrator's id of the refund.
    pub refund: String,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// Records the outcome; the first one stands and is returned.
///
/// # Errors
/// When the store fails.
pub fn refund_settle(tx: &mut Tx<'_>, id: &RefundId, outcome: &RefundOutcome, now: Timestamp) -> Result<RefundState, DbError> {
    let state = if outcome.succeeded { RefundState::Succeeded } else { RefundState::Refused };
    let update = "update cloud_refund set state = $2, orchestrator_refund = $3, code = $4, message = $5, settled_at = $6
                  where id = $1 and state = 'intended'";
    tx.execute(update, params![id, state.as_str(), outcome.refund, outcome.code, outcome.message, now])?;
    let settled = refund_get(tx, id)?.ok_or(DbError::NoRow)?;
    if settled.state == RefundState::Succeeded {
        tx.execute("update cloud_charge set state = 'refunded' where id = $1 and state = 'owed'", params![settled.charge])?;
    }
    Ok(settled.state)
}

fn job(env: &Env, id: &RefundId, again: String) -> NewJob {
    NewJob { dedupe: Some(format!("{JOB}:{id}{again}")), ..NewJob::now(env, JOB, json!({ "refund": id })) }
}

fn read(row: &Row) -> Result<Refund, DbError> {
    Ok(Refund {
        id: row.parse("id")?,
        charge: row.parse("charge")?,
        resource: row.parse("resource")?,
        orchestrator_charge: row.get("orchestrator_charge")?,
        amount: Money::from_minor(row.get("amount_minor")?, row.parse("currency")?),
        reason: row.get::<String>("reason")?.into(),
        state: row.parse("state")?,
    })
}
