//! What is asked of the payer after the first order.
//!
//! INVARIANT (intent-first): the row is written before the orchestrator is asked. Its id is the idempotency key of the call, so that a repeat
//! after a crash is the same charge. An attempt that was refused is followed by another row, never asked again.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{ChargeId, CloudAccountId, CloudResourceId};
use purser_values::{Env, Money, Timestamp};
use slipway_accounts::charge::ChargeOutcome;

use crate::credit::{self, cover_of};
use crate::subscription::Subscription;

/// What a charge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first order; charged by the order itself.
    Order,
    /// Another period.
    Renewal,
    /// A dearer plan, from now on.
    Change,
    /// A block of use.
    Usage,
}

/// A charge that succeeded before this room heard of it.
#[derive(Clone, Debug)]
pub struct Paid {
    pub id: ChargeId,
    /// The orchestrator's id of it.
    pub charge: String,
    /// All of it, what a credit paid included.
    pub amount: Money,
    /// How much of it a credit paid; set aside under the charge's id.
    pub by_credit: Money,
}

#[derive(Clone, Debug)]
pub struct Charge {
    pub id: ChargeId,
    pub resource: CloudResourceId,
    pub account: CloudAccountId,
    pub purpose: Purpose,
    /// What the orchestrator is told.
    pub period: String,
    pub attempt: i64,
    pub amount: Money,
    /// How much of it a credit pays. The payer is asked for the rest.
    pub by_credit: Money,
    pub state: ChargeState,
    /// The orchestrator's id; empty without an outcome.
    pub charge: String,
    pub refunded: Money,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeState {
    Intended,
    Succeeded,
    Refused,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Order, Self::Renewal, Self::Change, Self::Usage];

    const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Renewal => "renewal",
            Self::Change => "change",
            Self::Usage => "usage",
        }
    }
}

impl Charge {
    /// What the payer is asked for.
    #[must_use]
    pub const fn cash(&self) -> Money {
        Money::from_minor(self.amount.minor() - self.by_credit.minor(), self.amount.currency())
    }
}

/// Keeps a charge of the order that began the subscription.
pub(crate) fn record_paid(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, paid: &Paid) -> Result<(), DbError> {
    insert(
        tx,
        env,
        sub,
        &New { id: &paid.id, purpose: Purpose::Order, period: "", attempt: 0, amount: paid.amount, credit: paid.by_credit },
    )?;
    credit::spend::settle(tx, env, paid.id.as_str(), paid.by_credit.minor())?;
    let update = "update bill_charge set state = 'succeeded', orchestrator_charge = $2, settled_at = $3 where id = $1";
    tx.execute(update, params![paid.id, paid.charge, env.now()]).map(drop)
}

/// Records the next attempt, unless one is under way. What a credit covers of it is set aside; use has its own ([`crate::usage`]).
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    env: &Env,
    sub: &Subscription,
    purpose: Purpose,
    period: &str,
    amount: Money,
) -> Result<Charge, DbError> {
    if let Some(open) = open_of(tx, &sub.resource)? {
        return Ok(open);
    }
    let count = "select count(*) as n from bill_charge where resource = $1 and purpose = $2 and period = $3";
    let attempt: i64 = tx.query_one(count, params![sub.resource, purpose.name(), period])?.get("n")?;
    let id = ChargeId::mint(env);
    let credit = match purpose {
        Purpose::Usage => Money::zero(amount.currency()),
        Purpose::Order | Purpose::Renewal | Purpose::Change => {
            credit::spend::hold(tx, env, &sub.account, &cover_of(sub.kind), id.as_str(), amount)?
        }
    };
    insert(tx, env, sub, &New { id: &id, purpose, period, attempt, amount, credit })?;
    get(tx, &id)?.ok_or(DbError::NoRow)
}

/// Use that a credit paid for: the charge that says so, settled.
pub(crate) fn by_credit(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, period: &str, amount: Money) -> Result<ChargeId, DbError> {
    let count = "select count(*) as n from bill_charge where resource = $1 and purpose = $2 and period = $3";
    let attempt: i64 = tx.query_one(count, params![sub.resource, Purpose::Usage.name(), period])?.get("n")?;
    let id = ChargeId::mint(env);
    insert(tx, env, sub, &New { id: &id, purpose: Purpose::Usage, period, attempt, amount, credit: amount })?;
    let update = "update bill_charge set state = 'succeeded', orchestrator_charge = '', settled_at = $2 where id = $1";
    tx.execute(update, params![id, env.now()])?;
    Ok(id)
}

struct New<'a> {
    id: &'a ChargeId,
    purpose: Purpose,
    period: &'a str,
    attempt: i64,
    amount: Money,
    credit: Money,
}

fn insert(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, new: &New<'_>) -> Result<(), DbError> {
    let insert = "insert into bill_charge (id, resource, account, purpose, period, attempt, amount_minor, currency, state, refunded_minor,
                      created_at, credit_minor)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, 'intended', 0, $9, $10)";
    let New { id, purpose, period, attempt, amount, credit } = new;
    let (minor, currency) = (amount.minor(), amount.currency());
    let what = params![id, sub.resource, sub.account, purpose.name(), period, attempt, minor, currency, env.now(), credit.minor()];
    tx.execute(insert, what).map(drop)
}

/// The charge without an outcome, if there is one. There is never more than one.
pub(crate) fn open_of(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Option<Charge>, DbError> {
    let select = "select * from bill_charge where resource = $1 and state = 'intended' order by created_at, id limit 1";
    tx.query_opt(select, params![resource])?.as_ref().map(read).transpose()
}

/// # Errors
/// When the store fails.
pub fn get(tx: &mut Tx<'_>, id: &ChargeId) -> Result<Option<Charge>, DbError> {
    tx.query_opt("select * from bill_charge where id = $1", params![id])?.as_ref().map(read).transpose()
}

/// All charges of a resource, newest first.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Vec<Charge>, DbError> {
    tx.query("select * from bill_charge where resource = $1 order by created_at desc, id desc", params![resource])?
        .iter()
        .map(read)
        .collect()
}

/// When a charge of use was refused last since then, and why.
pub(crate) fn use_refused(
    tx: &mut Tx<'_>,
    resource: &CloudResourceId,
    since: Timestamp,
) -> Result<Option<(Timestamp, Option<String>)>, DbError> {
    let select = "select settled_at, code from bill_charge
                  where resource = $1 and purpose = $2 and state = 'refused' and settled_at >= $3 order by settled_at desc, id desc limit 1";
    let row = tx.query_opt(select, params![resource, Purpose::Usage.name(), since])?;
    row.map(|row| Ok((row.get("settled_at")?, row.get("code")?))).transpose()
}

/// Records the outcome, and what becomes of the credit that was set aside. Tells whether it is the first one; only that counts.
pub(crate) fn settle(tx: &mut Tx<'_>, env: &Env, id: &ChargeId, outcome: &ChargeOutcome) -> Result<bool, DbError> {
    let state = if outcome.succeeded { "succeeded" } else { "refused" };
    let update = "update bill_charge set state = $2, orchestrator_charge = $3, code = $4, message = $5, settled_at = $6
                  where id = $1 and state = 'intended'";
    let first = tx.execute(update, params![id, state, outcome.charge, outcome.code, outcome.message, env.now()])? == 1;
    if first {
        let held = credit::spend::held(tx, id.as_str())?;
        credit::spend::settle(tx, env, id.as_str(), if outcome.succeeded { held } else { 0 })?;
    }
    Ok(first)
}

/// So much of it is being given back.
pub(crate) fn take_back(tx: &mut Tx<'_>, id: &ChargeId, amount: Money) -> Result<(), DbError> {
    let update = "update bill_charge set refunded_minor = refunded_minor + $2
                  where id = $1 and state = 'succeeded' and refunded_minor + $2 between 0 and amount_minor";
    match tx.execute(update, params![id, amount.minor()])? {
        1 => Ok(()),
        _ => Err(DbError::Corrupt(format!("more would come back of `{id}` than it took"))),
    }
}

fn read(row: &Row) -> Result<Charge, DbError> {
    let currency = row.parse("currency")?;
    let purpose: String = row.get("purpose")?;
    let state = match row.get::<String>("state")?.as_str() {
        "intended" => ChargeState::Intended,
        "succeeded" => ChargeState::Succeeded,
        "refused" => ChargeState::Refused,
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a charge"))),
    };
    Ok(Charge {
        id: row.parse("id")?,
        resource: row.parse("resource")?,
        account: row.parse("account")?,
        purpose: Purpose::ALL
            .into_iter()
            .find(|known| known.name() == purpose)
            .ok_or_else(|| DbError::Corrupt(format!("`{purpose}` is no purpose of a charge")))?,
        period: row.get("period")?,
        attempt: row.get("attempt")?,
        amount: Money::from_minor(row.get("amount_minor")?, currency),
        by_credit: Money::from_minor(row.get("credit_minor")?, currency),
        state,
        charge: row.get::<Option<String>>("orchestrator_charge")?.unwrap_or_default(),
        refunded: Money::from_minor(row.get("refunded_minor")?, currency),
        created_at: row.get("created_at")?,
    })
}
