//! Asking for money back: every request is kept with its answer, also where nothing can be given back any more.
//!
//! A plan: the unused part of the period, until [`PLAN_REFUND_S`] after the period began; the plan ends with it. A domain: never through
//! here; its order can be undone until [`DOMAIN_REFUND_S`] after it was made, and after that it cannot be given back to the registry.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{CloudAccountId, CloudResourceId, RefundId};
use purser_values::{Money, Timestamp};
use slipway_accounts::realm::Realm;

use crate::invoice::Line;
use crate::limits::{DOMAIN_REFUND_S, PLAN_REFUND_S, TEXT_CHARS};
use crate::proration::part;
use crate::refund;
use crate::subscription::cancel::{When, subscription_cancel};
use crate::subscription::change::SubscriptionError;
use crate::subscription::get::subscription_get;
use crate::subscription::{Kind, State, Subscription};

/// What a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The plan has ended, and so much comes back.
    Refunded(Money),
    /// The deadline has passed, or there is nothing left of what was paid.
    NotRefundable { deadline: Timestamp },
}

/// A request as it is kept.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: String,
    pub resource: CloudResourceId,
    pub reason: String,
    /// `refunded` or `not_refundable`.
    pub answer: String,
    pub deadline: Timestamp,
    pub asked_at: Timestamp,
}

/// # Errors
/// When it is not the account's, or the store fails. That nothing can be given back is an answer.
pub fn refund_request(
    tx: &mut Tx<'_>,
    realm: &Realm,
    account: &CloudAccountId,
    resource: &CloudResourceId,
    reason: &str,
) -> Result<Answer, SubscriptionError> {
    let sub = subscription_get(tx, resource)?.filter(|sub| sub.account == *account).ok_or(SubscriptionError::NotFound)?;
    let (now, deadline) = (realm.env.now(), deadline(&sub));
    let period = sub.period();
    let unused = part(sub.terms.price, period.left(now), period.seconds());
    let may = sub.kind == Kind::Plan && sub.state == State::Active && now < deadline && unused.is_positive();
    if may {
        // A dearer plan that was asked for and not paid yet begins no more.
        subscription_cancel(tx, realm, account, resource, When::Now)?;
        let line = Line::period(format!("Unused part of plan `{}`", sub.terms.plan), unused, now, period.end);
        refund::begin(tx, &realm.env, resource, unused, "cancelled", vec![Line { of_line: Some(1), ..line }])?;
    }
    let insert = "insert into bill_request (id, account, resource, reason, answer, deadline, asked_at) values ($1, $2, $3, $4, $5, $6, $7)";
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect();
    let answer = if may { "refunded" } else { "not_refundable" };
    tx.execute(insert, params![RefundId::mint(&realm.env), account, resource, reason, answer, deadline, now])?;
    Ok(if may { Answer::Refunded(unused) } else { Answer::NotRefundable { deadline } })
}

/// Until when something can be had back.
#[must_use]
pub fn deadline(sub: &Subscription) -> Timestamp {
    match sub.kind {
        Kind::Plan => sub.period().start.plus_secs(PLAN_REFUND_S),
        Kind::Domain => sub.created_at.plus_secs(DOMAIN_REFUND_S),
    }
}

/// The account's requests, newest first.
///
/// # Errors
/// When the store fails.
pub fn request_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Request>, DbError> {
    let select = "select * from bill_request where account = $1 order by asked_at desc, id desc";
    let read = |row: &Row| -> Result<Request, DbError> {
        Ok(Request {
            id: row.get("id")?,
            resource: row.parse("resource")?,
            reason: row.get("reason")?,
            answer: row.get("answer")?,
            deadline: row.get("deadline")?,
            asked_at: row.get("asked_at")?,
        })
    };
    tx.query(select, params![account])?.iter().map(read).collect()
}
