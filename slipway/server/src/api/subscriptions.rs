//! `GET /accounts/{id}/subscriptions`, `GET .../{sub}`, `GET /user/subscriptions`: what the account pays for, in Cloudflare's shape. Reading is all that a token can do with money.

use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use purser_values::Money;
use serde_json::{Value, json};
use slipway_billing::subscription::get::subscription_list;
use slipway_billing::subscription::{Kind, State as Stage, Subscription};

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
