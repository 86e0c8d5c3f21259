//! `budget`: what people plan to spend, where that stands, and what happens at which part of it.

use purser_values::{Currency, Money};
use serde_json::{Number, Value, json};

use super::billing::{Attempt, Target, is_agents, over, refused_by, target, with_agent};
use super::{list, money, text};
use crate::arguments::{BudgetRemove, BudgetSet};
use crate::bars::Style;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "budgets"], &[]).await?;
    let rows = rows(&data, Style::here());
    let text = if rows.len() == 1 { "There are no budgets.".to_owned() } else { screen::table(&rows) };
    Ok(Success::new(data, text))
}

/// The budgets of an answer as a table, its head first.
pub(super) fn rows(data: &Value, style: Style) -> Vec<Vec<String>> {
    let mut rows = vec![["over", "for", "budget", "spent", "used", "by the end", "at its limit", "id", ""].map(str::to_owned).to_vec()];
    for budget in list(data, "budgets") {
        let number = |name: &str| budget[name]["amount_minor"].as_i64().unwrap_or(0);
        let forecast = if budget["forecast"].is_null() { "-".to_owned() } else { format!("about {}", money(&budget["forecast"])) };
        let does = format!("{} at {} %", text(budget, "action").replace('_', " "), text(budget, "act_at"));
        rows.push(vec![
            over(budget),
            text(budget, "period"),
            money(&budget["amount"]),
            money(&budget["spent"]),
            format!("{} %", text(budget, "spent_percent")),
            forecast,
            does,
            text(budget, "id"),
            style.bar(number("spent"), number("amount")),
        ]);
    }
    rows
}

pub(super) async fn set(context: &Context, arguments: &BudgetSet) -> Result<Success, Failure> {
    let currency: Currency = arguments.currency.parse().map_err(|e| Failure::invalid(format!("{e}")))?;
    let amount = Money::parse_decimal(&arguments.amount, currency);
    let amount = amount.map_err(|e| Failure::invalid(e.to_string()).hint("write it as `25` or `25.00`"))?;
    let Target { scope, subject } = target(context, &with_agent(context, &arguments.over).await?)?;
    let mut body = json!({
        "scope": scope, "subject": subject, "period": arguments.period, "amount_minor": amount.minor(), "currency": currency,
        "action": arguments.action.replace('-', "_"), "act_at": arguments.act_at, "unusual": !arguments.no_unusual,
    });
    if !arguments.threshold.is_empty() {
        body["thresholds"] = json!(arguments.threshold);
    }
    if is_agents() {
        let page = page(&body, &amount.decimal(), &arguments.threshold);
        let attempt = Attempt { route: &["budgets"], page, code: "BROWSER_AUTH_REQUIRED", what: "sets a budget", body };
        return refused_by(context, attempt, true).await;
    }
    let data = context.api(Who::Person)?.put(&["v1", "budgets"], &body).await?;
    let said = format!("The budget `{}` is {amount} now.", text(&data["budget"], "id"));
    Ok(Success::new(data, said).next("purser budget list"))
}

pub(super) async fn remove(context: &Context, arguments: &BudgetRemove) -> Result<Success, Failure> {
    let route = ["budgets", arguments.budget.as_str(), "remove"];
    if is_agents() {
        let page = "/limits#budgets".to_owned();
        let attempt = Attempt { route: &route, page, code: "BROWSER_AUTH_REQUIRED", what: "takes a budget away", body: json!({}) };
        return refused_by(context, attempt, false).await;
    }
    let api = context.api(Who::Person)?;
    let data = api.post(&["v1", "budgets", &arguments.budget, "remove"], &[], &json!({})).await?;
    Ok(Success::new(data, format!("The budget `{}` is removed.", arguments.budget)))
}

/// The page of limits with the budget filled in.
fn page(body: &Value, amount: &str, thresholds: &[Number]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("form", "budget").append_pair("amount", amount);
    for name in ["scope", "subject", "period", "currency", "action", "act_at"] {
        let value = text(body, name);
        if !value.is_empty() {
            query.append_pair(name, &value);
        }
    }
    if !thresholds.is_empty() {
        query.append_pair("thresholds", &thresholds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    format!("/limits?{}#budgets", query.finish())
}
