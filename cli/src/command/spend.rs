//! `spend`: what was spent, what is held, and what is left of each cap.

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
    if !charges.is_empty() {
        text = format!("{text}\n\ncharges\n{}", screen::table(&charges));
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
