//! `spend`: what was spent, what is held, and what is left of each cap.

use super::{list, money, text};
use crate::arguments::Spend;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context, arguments: &Spend) -> Result<Success, Failure> {
    let query: Vec<(&str, &str)> = arguments.month.iter().map(|month| ("month", month.as_str())).collect();
    let data = context.api(Who::Either)?.get(&["v1", "spend"], &query).await?;
    let mut rows = vec![["provider", "cap", "captured", "held", "left"].map(str::to_owned).to_vec()];
    rows.extend(
        list(&data, "providers")
            .iter()
            .map(|p| vec![text(p, "provider"), money(&p["cap"]), money(&p["captured"]), money(&p["held"]), money(&p["left"])]),
    );
    let mut text = screen::table(&rows);
    let charges: Vec<Vec<String>> = list(&data, "charges").iter().map(charge).collect();
    if !charges.is_empty() {
        text = format!("{text}\n\ncharges\n{}", screen::table(&charges));
    }
    Ok(Success::new(data, text))
}

fn charge(charge: &serde_json::Value) -> Vec<String> {
    let amount = if charge["amount"].is_null() { money(charge) } else { money(&charge["amount"]) };
    vec![text(charge, "at"), text(charge, "provider"), amount, text(charge, "description"), text(charge, "id")]
}
