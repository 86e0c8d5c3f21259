//! `GET /accounts/{id}/billable/usage` and `…/billable-usage`: what the open period has used so far, as rows of FOCUS (the FinOps open
//! cost and usage specification, 1.0): one for each Worker and meter. The costs of the rows add up to what the meters cost.

use axum::extract::{Path, RawQuery, State};
use purser_db::DbError;
use purser_values::{Money, Timestamp};
use serde_json::{Value, json};
use slipway_billing::price::{Meter, Rated};
use slipway_billing::usage::room::{Room, room};
use slipway_billing::usage::{counted_by_script, current};

use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::{query, render};
use crate::cloud::Shared;

/// Who provides, hosts and sends the bill.
const HERE: &str = "slipway";

type Counts = Vec<(String, Meter, u64)>;

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let now = cloud.env.now();
    let (from, to) = (day(text.as_deref(), "from")?, day(text.as_deref(), "to")?);
    let rows = match open(&cloud, &account, &caller).await? {
        Some((counts, room)) if from.is_none_or(|from| from <= now) && to.is_none_or(|to| to > room.stretch.start) => {
            rows(&caller, counts, &room, now)
        }
        _ => Vec::new(),
    };
    Ok(ok(&json!(rows)))
}

/// Which subscription is metered.
pub async fn info(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller) -> Answer {
    let open = open(&cloud, &account, &caller).await?;
    let subscriptions: Vec<Value> = open
        .iter()
        .map(|(_, room)| {
            let start = render::time(room.stretch.start);
            let mut shown = json!({"id": room.resource, "billing_cycle_anchor_timestamp": start, "start_timestamp": start});
            if let Some(end) = room.stretch.end {
                shown["end_timestamp"] = json!(render::time(end));
            }
            shown
        })
        .collect();
    Ok(ok(&json!({"covered": open.is_some(), "subscriptions": subscriptions})))
}

async fn open(cloud: &Shared, account: &str, caller: &Caller) -> Result<Option<(Counts, Room)>, Failure> {
    if account != caller.account.hex.as_str() {
        return Err(Failure::foreign());
    }
    let id = caller.account.id.clone();
    let read = cloud.db.read(move |tx| -> Result<_, DbError> {
        let Some(room) = room(tx, &id)? else { return Ok(None) };
        let Some(stretch) = current(tx, &room.resource)? else { return Ok(None) };
        Ok(Some((counted_by_script(tx, &stretch)?, room)))
    });
    Ok(read.await?)
}

fn rows(caller: &Caller, counts: Counts, room: &Room, now: Timestamp) -> Vec<Value> {
    let rated = room.stretch.prices.rate(&room.used);
    let mut rows = Vec::new();
    for meter in Meter::ALL {
        let of: Vec<(&str, u64)> =
            counts.iter().filter(|(_, of, _)| *of == meter).map(|(s, _, quantity)| (s.as_str(), *quantity)).collect();
        let rated = rated.iter().find(|rated| rated.price.meter == meter);
        let total: u64 = of.iter().map(|(_, quantity)| quantity).sum();
        let mut before = 0;
        for (script, quantity) in of {
            let cost = share(rated, room, total, before + quantity).minor() - share(rated, room, total, before).minor();
            let cost = decimal(Money::from_minor(cost, room.stretch.prices.currency));
            before += quantity;
            rows.push(row(caller, room, (script, meter, quantity), &cost, now));
        }
    }
    rows
}

/// What so much of a meter's use costs, so that the shares of all add up to the whole.
fn share(rated: Option<&Rated>, room: &Room, total: u64, part: u64) -> Money {
    let whole = rated.map_or(0, |rated| rated.amount.minor());
    let minor = i128::from(whole) * i128::from(part) / i128::from(total.max(1));
    Money::from_minor(i64::try_from(minor).unwrap_or(whole), room.stretch.prices.currency)
}

fn row(caller: &Caller, room: &Room, (script, meter, quantity): (&str, Meter, u64), cost: &Value, now: Timestamp) -> Value {
    let (start, end) = (render::time(room.stretch.start), room.stretch.end);
    json!({
        "BilledCost": cost,
        "BillingAccountId": caller.account.hex.as_str(),
        "BillingAccountName": caller.account.organisation,
        "BillingCurrency": room.stretch.prices.currency,
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end.map(render::time),
        "ChargeCategory": "Usage",
        "ChargeClass": null,
        "ChargeDescription": meter.words(),
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": render::time(end.unwrap_or(now).min(now)),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": meter.name(),
        "ContractedCost": cost,
        "CumulatedContractedCost": cost,
        "CumulatedPricingQuantity": quantity,
        "EffectiveCost": cost,
        "HostProviderName": HERE,
        "InvoiceIssuerName": HERE,
        "ListCost": cost,
        "PricingQuantity": quantity,
        "PricingUnit": meter.name(),
        "ResourceId": script,
        "ServiceFamilyName": "Compute",
        "ServiceName": "Workers",
        "ServiceProviderName": HERE,
        "SubscriptionId": room.resource,
        "x_BillableMetricId": meter.name(),
        "x_BillableMetricName": meter.words(),
    })
}

/// An exact decimal as a number of JSON.
fn decimal(price: Money) -> Value {
    serde_json::from_str(&price.decimal()).unwrap_or(Value::Null)
}

/// A day, or a moment, of the query.
fn day(text: Option<&str>, name: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(value) = query(text, name) else { return Ok(None) };
    let whole = if value.len() == 10 { format!("{value}T00:00:00Z") } else { value.into_owned() };
    whole.parse().map(Some).map_err(|_| Failure::invalid(format!("`{name}` is a day like `2026-04-01`")))
}
