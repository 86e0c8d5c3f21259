//! `spend`: what was spent, what is held, what is left of each cap; what came back, and what a provider owes. With `--by`, a span of
//! time added up; with `--csv`, a file.

use purser_values::Money;
use serde_json::Value;

use super::{list, money, text, when};
use crate::arguments::Spend;
use crate::bars::Style;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context, arguments: &Spend) -> Result<Success, Failure> {
    if arguments.by.is_some() || arguments.since.is_some() || arguments.until.is_some() {
        return report(context, arguments).await;
    }
    let asked = [
        ("month", &arguments.month),
        ("zone", &arguments.zone),
        ("project", &arguments.project),
        ("agent", &arguments.agent),
        ("provider", &arguments.provider),
    ];
    let query: Vec<(&str, &str)> = asked.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    if arguments.csv {
        return statement(context, &query).await;
    }
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
    if data["more_charges"] == true {
        return Ok(Success::new(data, text).warn("these are the newest charges: `purser spend --csv` has the whole month"));
    }
    Ok(Success::new(data, text))
}

/// A month to keep. For programs the same as JSON.
async fn statement(context: &Context, query: &[(&str, &str)]) -> Result<Success, Failure> {
    let api = context.api(Who::Either)?;
    if context.global.json {
        let data = api.get(&["v1", "statement"], query).await?;
        return Ok(Success::new(data, ""));
    }
    let text = api.text(&["v1", "statement"], &[query, &[("format", "csv")]].concat()).await?;
    Ok(Success::file(Value::Null, text))
}

/// A span of time, added up.
async fn report(context: &Context, arguments: &Spend) -> Result<Success, Failure> {
    let by = arguments.by.as_deref().unwrap_or("provider");
    let mut query = vec![("by", by)];
    query.extend(arguments.since.iter().map(|since| ("since", since.as_str())));
    query.extend(arguments.until.iter().map(|until| ("until", until.as_str())));
    query.extend(arguments.zone.iter().map(|zone| ("zone", zone.as_str())));
    let data = context.api(Who::Either)?.get(&["v1", "spend", "report"], &query).await?;
    let rows = list(&data, "rows");
    if arguments.csv && !context.global.json {
        let text = csv(by, rows);
        return Ok(Success::file(data, text));
    }
    let style = Style::here();
    // Currencies do not compare: each has a longest bar of its own.
    let paid = |row: &Value| row["paid"]["amount_minor"].as_i64().unwrap_or(0);
    let most = |currency: &Value| rows.iter().filter(|row| row["paid"]["currency"] == *currency).map(paid).max().unwrap_or(0);
    let mut lines = vec![[by, "charges", "charged", "given back", "paid", ""].map(str::to_owned).to_vec()];
    for row in rows {
        let [charged, refunded, stays] = ["charged", "refunded", "paid"].map(|part| money(&row[part]));
        let bar = style.bar(paid(row), most(&row["paid"]["currency"]));
        lines.push(vec![text(row, "key"), text(row, "charges"), charged, refunded, stays, bar]);
    }
    let said = if rows.is_empty() { "Nothing was paid in that time.".to_owned() } else { screen::table(&lines) };
    Ok(Success::new(data, said))
}

/// RFC 4180, with amounts in the currency's smallest unit too. A name that a spreadsheet would run gets an apostrophe in front.
fn csv(by: &str, rows: &[Value]) -> String {
    let mut out = format!("{by},currency,charges,charged_minor,refunded_minor,paid_minor,paid\r\n");
    for row in rows {
        let minor = |part: &str| row[part]["amount_minor"].to_string();
        let decimal = serde_json::from_value::<Money>(row["paid"].clone()).map(Money::decimal).unwrap_or_default();
        let cells = [
            cell(&text(row, "key")),
            text(&row["paid"], "currency"),
            text(row, "charges"),
            minor("charged"),
            minor("refunded"),
            minor("paid"),
            decimal,
        ];
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let safe = if formula { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', ';', '\t', '"', '\r', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

/// What is held, spent and left at each provider.
pub(super) fn caps(data: &Value) -> String {
    let style = Style::here();
    let mut rows = vec![["provider", "cap", "captured", "held", "left", ""].map(str::to_owned).to_vec()];
    for position in list(data, "providers") {
        let [cap, captured, held, left] = ["cap", "captured", "held", "left"].map(|part| &position[part]);
        let minor = |money: &Value| money["amount_minor"].as_i64().unwrap_or(0);
        let bar = style.bar(minor(captured).saturating_add(minor(held)), minor(cap));
        rows.push(vec![text(position, "provider"), money(cap), money(captured), money(held), money(left), bar]);
    }
    screen::table(&rows)
}

fn charge(charge: &Value) -> Vec<String> {
    let amount = if charge["amount"].is_null() { money(charge) } else { money(&charge["amount"]) };
    let mark = if charge["irreversible"] == true { " (cannot be undone)" } else { "" };
    let description = format!("{}{mark}", text(charge, "description"));
    vec![when(charge, "at"), text(charge, "provider"), amount, text(charge, "state"), description, text(charge, "id")]
}

fn refund(refund: &Value) -> Vec<String> {
    let said = if refund["code"].is_null() { text(refund, "reason") } else { text(refund, "code") };
    let mut row = vec![when(refund, "at"), text(refund, "provider")];
    row.extend([money(&refund["amount"]), text(refund, "state"), said, text(refund, "charge"), text(refund, "id")]);
    row
}

fn owed(due: &Value) -> Vec<String> {
    let by = format!("by {}", when(due, "until"));
    let mut row = vec![when(due, "since"), by, text(due, "provider"), money(&due["amount"])];
    row.extend(["state", "reason", "resource", "charge"].map(|name| text(due, name)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_has_exact_amounts_its_own_line_ends_and_no_formula() {
        let money = |minor: i64| json!({ "amount_minor": minor, "currency": "USD" });
        let row = |key: &str| json!({ "key": key, "charges": 2, "charged": money(10_00), "refunded": money(2_50), "paid": money(7_50) });
        let text = csv("project", &[row("shop"), row("=HYPERLINK(\"x\")"), row("a,b")]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[1], "shop,USD,2,1000,250,750,7.50");
        assert_eq!(lines[2], "\"'=HYPERLINK(\"\"x\"\")\",USD,2,1000,250,750,7.50");
        assert!(lines[3].starts_with("\"a,b\",") && lines[4].is_empty() && lines.len() == 5, "{text}");
    }
}
