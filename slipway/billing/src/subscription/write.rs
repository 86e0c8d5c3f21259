//! The row of a subscription. Every write of it enqueues the job of its next step.

use purser_db::jobs::{NewJob, enqueue};
use purser_db::{DbError, Tx, params};
use purser_values::{Env, Timestamp};
use serde_json::json;
use slipway_accounts::subscription::{Standing, subscription_set};

use super::{JOB, Kind, State, Subscription};

/// Writes the row as it stands now, with when it is due, and what the account has by it.
pub(crate) fn put(tx: &mut Tx<'_>, env: &Env, sub: &mut Subscription) -> Result<(), DbError> {
    sub.next_at = sub.due(env.now());
    let upsert = "insert into bill_subscription (resource, account, kind, plan, price_minor, currency, prices, anchor, months, number,
                      state, since, tries, told, renews, next_at, quote, line, usage_line, token,
                      change_plan, change_price, change_prices, change_at, change_quote, change_line, change_usage_line, change_token,
                      created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                      $25, $26, $27, $28, $29)
                  on conflict (resource) do update set plan = $4, price_minor = $5, currency = $6, prices = $7, anchor = $8, months = $9,
                      number = $10, state = $11, since = $12, tries = $13, told = $14, renews = $15, next_at = $16, quote = $17, line = $18,
                      usage_line = $19, token = $20, change_plan = $21, change_price = $22, change_prices = $23, change_at = $24,
                      change_quote = $25, change_line = $26, change_usage_line = $27, change_token = $28";
    let (terms, calendar) = (&sub.terms, sub.calendar);
    let since = sub.state.since().unwrap_or(sub.created_at);
    let own = params![
        sub.resource,
        sub.account,
        sub.kind.name(),
        terms.plan,
        terms.price.minor(),
        terms.price.currency(),
        json!(terms.prices),
        calendar.anchor,
        i64::from(calendar.months),
        i64::from(sub.number),
        sub.state.name(),
        since,
        sub.tries,
        sub.told,
        sub.renews,
        sub.next_at,
        terms.payment.quote,
        terms.payment.line,
        terms.payment.usage_line,
        terms.payment.token
    ];
    let next = sub.change.as_ref();
    let paid = next.map(|change| &change.terms.payment);
    let change = params![
        next.map(|c| c.terms.plan.clone()),
        next.map(|c| c.terms.price.minor()),
        next.map(|c| json!(c.terms.prices)),
        next.map(|c| c.at),
        paid.map(|p| p.quote.clone()),
        paid.map(|p| p.line.clone()),
        paid.and_then(|p| p.usage_line.clone()),
        paid.and_then(|p| p.token.clone()),
        sub.created_at
    ];
    tx.execute(upsert, &[own, change].concat())?;
    if sub.kind == Kind::Plan {
        subscription_set(tx, &sub.resource, &standing(sub))?;
    }
    if sub.is_over() { Ok(()) } else { schedule(tx, env, sub) }
}

fn standing(sub: &Subscription) -> Standing {
    let period = sub.period();
    Standing {
        plan: sub.terms.plan.clone(),
        price: sub.terms.price,
        period_start: period.start,
        period_end: period.end,
        state: match sub.state {
            // The service goes on while a renewal is asked for again.
            State::Active | State::PastDue { .. } => "active",
            State::Suspended { .. } => "suspended",
            State::Ended { .. } => "cancelled",
        },
        ended_at: if sub.is_over() { sub.state.since() } else { None },
    }
}

fn schedule(tx: &mut Tx<'_>, env: &Env, sub: &Subscription) -> Result<(), DbError> {
    let job = NewJob {
        kind: JOB,
        payload: json!({"resource": sub.resource}),
        run_at: sub.next_at,
        dedupe: Some(format!("{JOB}:{}:{}", sub.resource, sub.next_at.as_micros())),
        lane: None,
    };
    enqueue(tx, env, &job)
}

/// Lets the steps of a subscription be taken at another moment too.
pub(crate) fn later(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, at: Timestamp) -> Result<(), DbError> {
    schedule(tx, env, &Subscription { next_at: at, ..sub.clone() })
}

/// Lets the steps of a subscription be taken at once, besides its schedule.
pub(crate) fn hurry(tx: &mut Tx<'_>, env: &Env, sub: &Subscription) -> Result<(), DbError> {
    enqueue(tx, env, &NewJob::now(env, JOB, json!({"resource": sub.resource})))
}
