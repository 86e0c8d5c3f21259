//! `spend`: what was spent, what is held, what is left of each cap; what came back, and what a provider owes.

use serde_json::Value;

use super::{list, money, text};
use crate::arguments::Spend;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context, arguments: &Spend) -> Result<Success, Failure> {
    let query: Vec<(&str, &str)> = arguments.month.iter().map(|month| ("month", month.as_str())).collect();
    let data = context.api(Who::Either)?.get(&["v1", "spend"], &query).await?;
    let mut text = caps(&data);
    let charges: Vec<Vec<String>> = list(&data, "charges").iter().map(charge).collect();
    let refunds: Vec<Vec<String>> = list(&data, "refunds").iter().map(refund).collect();
    let owed: Vec<Vec<String>> = list(&data, "owed").iter().map(owed).collect();
    for (head, rows) in [("charges", charges), ("refunds", refunds), ("owed to you for what was undone", owed)] {
        if !rows.is_empty() {
            text = format!("{text}\n\n{head}\n{}", screen::table(&rows));
        }
    }
    Ok(Success::new(data, text))
}

/// What is held, spent and left at each provider.
pub(super) fn caps(data: &Value) -> String {
    let mut rows = vec![["provider", "cap", "captured", "held", "left"].map(str::to_owned).to_vec()];
    let row = |p: &Value| vec![text(p, "provider"), money(&p["cap"]), money(&p["captured"]), money(&p["held"]), money(&p["left"])];
    rows.extend(list(data, "providers").iter().map(row));
    screen::table(&rows)
}

fn charge(charge: &Value) -> Vec<String> {
    let amount = if charge["amount"].is_null() { money(charge) } else { money(&charge["amount"]) };
    vec![text(charge, "at"), text(charge, "provider"), amount, text(charge, "state"), text(charge, "description"), text(charge, "id")]
}

fn refund(refund: &Value) -> Vec<String> {
    let said = if refund["code"].is_null() { text(refund, "reason") } else { text(refund, "code") };
    let mut row = ["at", "provider"].map(|name| text(refund, name)).to_vec();
    row.extend([money(&refund["amount"]), text(refund, "state"), said, text(refund, "charge"), text(refund, "id")]);
    row
}

fn owed(due: &Value) -> Vec<String> {
    vec![text(due, "since"), text(due, "provider"), money(&due["amount"]), text(due, "state"), text(due, "resource"), text(due, "charge")]
}
