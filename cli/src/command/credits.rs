//! `credits`: what providers give to be spent there, asking for it, and what will be paid when it has ended.
//!
//! An agent may ask; a person whom the operator names decides, on a page.

use purser_values::id::CreditApplicationId;
use serde_json::{Value, json};

use super::{list, money, text, when};
use crate::arguments::{CreditApply, CreditShow};
use crate::bars::Style;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "credits"], &[]).await?;
    let mut parts = section("programmes", programmes(&data));
    parts.extend(section("applications", applications(&data)));
    parts.extend(balances(list(&data, "balances"), Style::here()));
    let text = if parts.is_empty() { "No provider here offers credit.".to_owned() } else { parts.join("\n\n") };
    Ok(Success::new(data, text))
}

pub(super) async fn apply(context: &Context, arguments: &CreditApply) -> Result<Success, Failure> {
    let evidence = match (&arguments.evidence, &arguments.evidence_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|e| Failure::invalid(format!("`{}` cannot be read: {e}", path.display())).hint("name a text file"))?,
        (None, None) => return Err(Failure::invalid("say why you are eligible, with `--evidence` or `--evidence-file`")),
    };
    let Some((provider, programme)) = arguments.programme.split_once('/') else {
        return Err(Failure::invalid(format!("`{}` names no programme", arguments.programme))
            .hint("write `PROVIDER/PROGRAMME`, as in `purser credits list`"));
    };
    let body = json!({ "provider": provider, "programme": programme, "evidence": evidence });
    let data = context.api(Who::Either)?.post(&["v1", "credits"], &[], &body).await?;
    let said = format!(
        "Asked for {} at {provider}, as `{}`. A person of the operator decides; nothing is given before.",
        money(&data["amount"]),
        text(&data, "id")
    );
    Ok(Success::new(data, said).next("purser credits list"))
}

pub(super) async fn show(context: &Context, arguments: &CreditShow) -> Result<Success, Failure> {
    let id: CreditApplicationId = arguments.application.parse().map_err(|e| Failure::invalid(format!("{e}")))?;
    let data = context.api(Who::Either)?.get(&["v1", "credits", id.as_ref()], &[]).await?;
    let mut rows = vec![
        vec!["programme".to_owned(), format!("{}/{}", text(&data, "provider"), text(&data, "programme"))],
        vec!["gives".to_owned(), format!("{} for {} months", money(&data["amount"]), text(&data, "months"))],
        vec!["state".to_owned(), text(&data, "state")],
        vec!["asked".to_owned(), when(&data, "asked_at")],
    ];
    for (name, member) in [("decided", "decided_at"), ("ended", "ended_at")] {
        if !data[member].is_null() {
            rows.push(vec![name.to_owned(), when(&data, member)]);
        }
    }
    if !data["reason"].is_null() {
        rows.push(vec!["why".to_owned(), text(&data, "reason")]);
    }
    Ok(Success::new(data, screen::table(&rows)))
}

fn section(head: &str, rows: Vec<Vec<String>>) -> Vec<String> {
    if rows.len() > 1 { vec![format!("{head}\n{}", screen::table(&rows))] } else { Vec::new() }
}

fn programmes(data: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![["programme", "gives", "months", "pays for", ""].map(str::to_owned).to_vec()];
    for one in list(data, "programmes") {
        let covers: Vec<&str> = list(one, "covers").iter().filter_map(Value::as_str).collect();
        let name = format!("{}/{}", text(one, "provider"), text(one, "id"));
        rows.push(vec![name, money(&one["amount"]), text(one, "months"), covers.join(", "), text(one, "title")]);
    }
    rows
}

fn applications(data: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![["programme", "amount", "state", "asked", "id", "why"].map(str::to_owned).to_vec()];
    for one in list(data, "applications") {
        let name = format!("{}/{}", text(one, "provider"), text(one, "programme"));
        rows.push(vec![name, money(&one["amount"]), text(one, "state"), when(one, "asked_at"), text(one, "id"), text(one, "reason")]);
    }
    rows
}

/// What is left at each provider, with what it expects to be paid when that has ended.
pub(super) fn balances(all: &[Value], style: Style) -> Vec<String> {
    let mut parts = Vec::new();
    for balance in all {
        let mut rows = vec![["credit", "given", "left", "until", "state", ""].map(str::to_owned).to_vec()];
        for one in list(balance, "credits") {
            let minor = |name: &str| one[name]["amount_minor"].as_i64().unwrap_or(0);
            let bar = style.bar(minor("given").saturating_sub(minor("left")), minor("given"));
            let [given, left] = ["given", "left"].map(|name| money(&one[name]));
            rows.push(vec![text(one, "programme"), given, left, when(one, "expires_at"), text(one, "state"), bar]);
        }
        if rows.len() > 1 {
            let head = format!("credit at {}", text(balance, "provider"));
            parts.push(format!("{head}\n{}{}", screen::table(&rows), forecast(&balance["forecast"])));
        }
    }
    parts
}

fn forecast(forecast: &Value) -> String {
    if forecast.is_null() {
        return String::new();
    }
    let end = format!("\nat this pace it lasts until {}", when(forecast, "ends_at"));
    let first = &forecast["first_payment"];
    if first.is_null() {
        return end;
    }
    format!("{end}; then {} is paid at {}, and about {} a month", money(first), when(first, "at"), money(&forecast["monthly"]))
}
