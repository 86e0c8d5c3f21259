//! `GET /accounts/{id}/subscriptions`, `GET .../{sub}`, `GET /user/subscriptions`, `GET /accounts/{id}/billable/usage`: what the account pays
//! for, in Cloudflare's shape. Reading is all that a token can do with money.

use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use purser_db::DbError;
use purser_values::Money;
use serde_json::{Value, json};
use slipway_billing::subscription::get::subscription_list;
use slipway_billing::subscription::{Kind, State as Stage, Subscription};
use slipway_billing::usage::room::room;
use slipway_billing::usage::{counted_by_script, current};

use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::render;
use crate::cloud::Shared;

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(query): RawQuery, caller: Caller) -> Answer {
    if account != caller.account.hex.as_str() {
        return Err(Failure::foreign());
    }
    of_user(State(cloud), RawQuery(query), caller).await
}

pub async fn of_user(State(cloud): State<Shared>, RawQuery(query): RawQuery, caller: Caller) -> Answer {
    let all: Vec<Value> = subscriptions(&cloud, &caller).await?.iter().map(subscription).collect();
    Ok(page(&all, Page::of(query.as_deref())))
}

pub async fn get(State(cloud): State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    if account != caller.account.hex.as_str() {
        return Err(Failure::foreign());
    }
    let all = subscriptions(&cloud, &caller).await?;
    let found = all.iter().find(|sub| sub.resource.as_str() == id);
    found.map(|sub| ok(&subscription(sub))).ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, 1_004, "there is no such subscription"))
}

async fn subscriptions(cloud: &Shared, caller: &Caller) -> Result<Vec<Subscription>, Failure> {
    let account = caller.account.id.clone();
    Ok(cloud.db.read(move |tx| subscription_list(tx, &account)).await?)
}

fn subscription(sub: &Subscription) -> Value {
    let (period, plan) = (sub.period(), &sub.terms.plan);
    let frequency = if sub.kind == Kind::Domain { "yearly" } else { "monthly" };
    json!({
        "id": sub.resource,
        "currency": sub.terms.price.currency(),
        "price": decimal(sub.terms.price),
        "frequency": frequency,
        "current_period_start": render::time(period.start),
        "current_period_end": render::time(period.end),
        "state": match sub.state {
            Stage::Active if sub.terms.price.is_zero() => "Provisioned",
            Stage::Active => "Paid",
            Stage::PastDue { .. } => "AwaitingPayment",
            Stage::Suspended { .. } => "Failed",
            Stage::Ended { .. } if sub.tries > 0 => "Expired",
            Stage::Ended { .. } => "Cancelled",
        },
        "rate_plan": {"id": plan, "public_name": plan, "currency": sub.terms.price.currency(), "scope": "account", "sets": [],
                      "externally_managed": false, "is_contract": false},
        "renews": sub.renews,
    })
}

/// Cloudflare writes prices as numbers of the currency; an exact decimal with two places is one in JSON.
fn decimal(price: Money) -> Value {
    serde_json::from_str(&price.decimal()).unwrap_or(Value::Null)
}

/// What the open period has used so far, by script and meter, and what of it is beyond what is included.
pub async fn usage(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller) -> Answer {
    if account != caller.account.hex.as_str() {
        return Err(Failure::foreign());
    }
    let id = caller.account.id.clone();
    let read = cloud.db.read(move |tx| -> Result<_, DbError> {
        let Some(room) = room(tx, &id)? else { return Ok(None) };
        let Some(stretch) = current(tx, &room.resource)? else { return Ok(None) };
        Ok(Some((counted_by_script(tx, &stretch)?, room)))
    });
    let Some((counts, room)) = read.await? else { return Ok(ok(&json!([]))) };
    let rated = room.stretch.prices.rate(&room.used);
    let rows: Vec<Value> = counts
        .iter()
        .map(|(script, meter, quantity)| {
            json!({
                "ServiceName": "Workers", "ServiceFamilyName": "Compute", "ResourceId": script, "ConsumedQuantity": quantity,
                "ConsumedUnit": meter.name(), "BillingCurrency": room.stretch.prices.currency,
                "ChargePeriodStart": render::time(room.stretch.start),
            })
        })
        .collect();
    let cost: Vec<Value> = rated
        .iter()
        .map(|rated| {
            json!({
                "meter": rated.price.meter.name(), "used": rated.used, "included": rated.price.included, "beyond": rated.beyond,
                "cost": rated.amount.decimal(),
            })
        })
        .collect();
    Ok(ok(&json!({"rows": rows, "meters": cost, "cost": room.cost.decimal(), "set_aside": room.set_aside.decimal(),
                  "currency": room.stretch.prices.currency})))
}
