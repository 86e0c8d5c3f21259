//! What is given back of what was charged, and the credit notes that say so.
//!
//! INVARIANT (refund-within-charge): a charge's refunds, those under way included, never pass the charge. What is given back of a resource is
//! taken from its newest charges first.
//! INVARIANT (invoice-is-money): the credit note is issued in the write that records the refund's success, and only then.

use purser_db::jobs::{NewJob, enqueue};
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{ChargeId, CloudAccountId, CloudResourceId, RefundId};
use purser_values::{Env, Money};
use serde_json::json;
use slipway_accounts::refund::RefundOutcome;
pub use slipway_accounts::refund::RefundState;

use crate::charge::{self, Charge, ChargeState, Purpose};
use crate::credit::spend;
use crate::invoice::{self, Draft, Line};
use crate::till::RefundAsk;

/// The kind of job that gives money back; its payload is `{"refund": id}`.
pub const JOB: &str = "billing_refund";

/// A refund as it is kept.
#[derive(Clone, Debug)]
pub struct Refund {
    pub id: RefundId,
    pub charge: ChargeId,
    pub resource: CloudResourceId,
    pub account: CloudAccountId,
    /// The money of it.
    pub amount: Money,
    /// The credit of it.
    pub credit: Money,
    pub reason: String,
    pub lines: Vec<Line>,
    pub state: RefundState,
}

/// So much is to be given back of what was paid for the resource, for the reasons in `lines`, which add up to it.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    env: &Env,
    resource: &CloudResourceId,
    amount: Money,
    reason: &str,
    lines: Vec<Line>,
) -> Result<(), DbError> {
    let mut rest = amount;
    let mut parts: Vec<(Charge, Money)> = Vec::new();
    for charge in charge::list(tx, resource)? {
        let left = charge.amount.checked_sub(charge.refunded).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let part = Money::from_minor(rest.minor().min(left.minor()), rest.currency());
        if charge.state == ChargeState::Succeeded && charge.purpose != Purpose::Usage && part.is_positive() {
            rest = rest.checked_sub(part).map_err(|e| DbError::Corrupt(e.to_string()))?;
            parts.push((charge, part));
        }
    }
    if !rest.is_zero() {
        return Err(DbError::Corrupt(format!("`{resource}` was not paid enough to give {amount} back")));
    }
    let Some(((last, of_last), others)) = parts.split_last() else { return Ok(()) };
    let mut lines = lines;
    for (charge, part) in others {
        begin_of(tx, env, charge, *part, reason, vec![Line::amount("Part of what is given back".to_owned(), *part)])?;
        lines.push(Line::amount("Given back by another credit note".to_owned(), Money::from_minor(-part.minor(), part.currency())));
    }
    begin_of(tx, env, last, *of_last, reason, lines)
}

/// So much is to be given back of one charge. INVARIANT (credit-stays-credit): what a credit paid was used first, so money comes back first,
/// up to what was paid in money; the rest comes back as credit.
pub(crate) fn begin_of(tx: &mut Tx<'_>, env: &Env, charge: &Charge, amount: Money, reason: &str, lines: Vec<Line>) -> Result<(), DbError> {
    charge::take_back(tx, &charge.id, amount)?;
    let left = (charge.cash().minor() - charge.refunded.minor()).clamp(0, amount.minor());
    let (cash, credit) = (Money::from_minor(left, amount.currency()), Money::from_minor(amount.minor() - left, amount.currency()));
    let id = RefundId::mint(env);
    insert(tx, env, &id, charge, (cash, credit), reason, lines)?;
    if cash.is_zero() {
        // Nobody has to be asked.
        let paid = RefundOutcome { succeeded: true, refund: String::new(), code: None, message: None };
        return settle(tx, env, &id, &paid).map(drop);
    }
    let dedupe = Some(format!("{JOB}:{id}"));
    enqueue(tx, env, &NewJob { dedupe, ..NewJob::now(env, JOB, json!({ "refund": id })) })
}

fn insert(
    tx: &mut Tx<'_>,
    env: &Env,
    id: &RefundId,
    charge: &Charge,
    (cash, credit): (Money, Money),
    reason: &str,
    mut lines: Vec<Line>,
) -> Result<(), DbError> {
    if !credit.is_zero() {
        lines.push(Line::amount("Given back as credit".to_owned(), Money::from_minor(-credit.minor(), credit.currency())));
    }
    let insert = "insert into bill_refund (id, charge, resource, account, amount_minor, currency, reason, description, state, created_at,
                      credit_minor)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, 'intended', $9, $10)";
    let Charge { id: of, resource, account, .. } = charge;
    let (minor, currency) = (cash.minor(), cash.currency());
    let values = params![id, of, resource, account, minor, currency, reason, json!(lines), env.now(), credit.minor()];
    tx.execute(insert, values).map(drop)
}

/// What the till is to be asked; nothing when it has answered.
///
/// # Errors
/// When the store fails.
pub fn ask(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<RefundAsk>, DbError> {
    let Some(refund) = get(tx, id)?.filter(|refund| refund.state == RefundState::Intended) else { return Ok(None) };
    let charge = charge::get(tx, &refund.charge)?.ok_or(DbError::NoRow)?;
    Ok(Some(RefundAsk { id: refund.id, charge: charge.charge, amount: refund.amount, reason: refund.reason }))
}

/// Records the outcome, with the credit note. The first one stands and is returned.
///
/// # Errors
/// When the store fails.
pub fn settle(tx: &mut Tx<'_>, env: &Env, id: &RefundId, outcome: &RefundOutcome) -> Result<RefundState, DbError> {
    let state = if outcome.succeeded { RefundState::Succeeded } else { RefundState::Refused };
    let update = "update bill_refund set state = $2, code = $3, message = $4, settled_at = $5 where id = $1 and state = 'intended'";
    let first = tx.execute(update, params![id, state.as_str(), outcome.code, outcome.message, env.now()])? == 1;
    let refund = get(tx, id)?.ok_or(DbError::NoRow)?;
    if first && refund.state == RefundState::Succeeded {
        spend::give_back(tx, env, refund.charge.as_str(), refund.credit.minor())?;
        note(tx, env, &refund)?;
    }
    Ok(refund.state)
}

fn note(tx: &mut Tx<'_>, env: &Env, refund: &Refund) -> Result<(), DbError> {
    let of = invoice::of_charge(tx, &refund.charge)?;
    let about = (refund.charge.clone(), refund.id.clone());
    let draft = Draft::credit_note(&refund.account, &refund.resource, refund.lines.clone(), about, of, refund.amount);
    invoice::issue(tx, env, &draft).map(drop)
}

/// An order was undone, and its charge given back by whoever undid it: the credit note of it. Doing it again changes nothing, and so does a
/// charge that this room does not know.
///
/// # Errors
/// When the store fails.
pub fn order_given_back(tx: &mut Tx<'_>, env: &Env, refund: &RefundId, charge: &ChargeId, reason: &str) -> Result<(), DbError> {
    let Some(charge) = charge::get(tx, charge)? else { return Ok(()) };
    if get(tx, refund)?.is_some() {
        return Ok(());
    }
    let lines = vec![Line { of_line: Some(1), ..Line::amount("The order was undone".to_owned(), charge.amount) }];
    charge::take_back(tx, &charge.id, charge.amount)?;
    insert(tx, env, refund, &charge, (charge.cash(), charge.by_credit), reason, lines)?;
    let given = RefundOutcome { succeeded: true, refund: String::new(), code: None, message: None };
    settle(tx, env, refund, &given).map(drop)
}

/// An order was undone or came to nothing: what only a credit paid for it comes back at once. Tells whether there was
/// anything; doing it again changes nothing.
///
/// # Errors
/// When the store fails.
pub fn credit_given_back(tx: &mut Tx<'_>, env: &Env, resource: &CloudResourceId, reason: &str) -> Result<bool, DbError> {
    let mut any = false;
    for charge in charge::list(tx, resource)? {
        let whole = charge.purpose == Purpose::Order && charge.state == ChargeState::Succeeded && charge.cash().is_zero();
        if whole && charge.refunded.is_zero() {
            order_given_back(tx, env, &RefundId::mint(env), &charge.id, reason)?;
            any = true;
        }
    }
    Ok(any)
}

/// The resource's refunds, oldest first.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Vec<Refund>, DbError> {
    tx.query("select * from bill_refund where resource = $1 order by created_at, id", params![resource])?.iter().map(read).collect()
}

/// Enqueues every refund without an outcome anew, after a start. Answers how many.
///
/// # Errors
/// When the store fails.
pub fn resume(tx: &mut Tx<'_>, env: &Env) -> Result<usize, DbError> {
    let rows = tx.query("select id from bill_refund where state = 'intended' order by id", params![])?;
    for row in &rows {
        let id: RefundId = row.parse("id")?;
        enqueue(tx, env, &NewJob::now(env, JOB, json!({ "refund": id })))?;
    }
    Ok(rows.len())
}

fn get(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<Refund>, DbError> {
    tx.query_opt("select * from bill_refund where id = $1", params![id])?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Refund, DbError> {
    Ok(Refund {
        id: row.parse("id")?,
        charge: row.parse("charge")?,
        resource: row.parse("resource")?,
        account: row.parse("account")?,
        amount: Money::from_minor(row.get("amount_minor")?, row.parse("currency")?),
        credit: Money::from_minor(row.get("credit_minor")?, row.parse("currency")?),
        reason: row.get("reason")?,
        lines: row.json("description")?,
        state: row.parse("state")?,
    })
}
