//! `whoami`: the agent, its person, its organisation, its grant, when that ends, and what may still be spent.

use serde_json::Value;

use super::{list, money, text, when};
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "whoami"], &[]).await?;
    let text = describe(&data);
    Ok(Success::new(data, text))
}

pub(super) fn describe(data: &Value) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![label.to_owned(), value]);
        }
    };
    let named =
        |of: &Value, name: &str| [text(of, name), text(of, "id")].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("  ");
    let names = |of: &Value, name: &str| match &of[name] {
        Value::String(all) => all.clone(),
        _ => list(of, name).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
    };
    add("agent", named(&data["agent"], "name"));
    add("person", named(&data["person"], "email"));
    let role = text(data, "role");
    let organisation = named(&data["organisation"], "name");
    add("organisation", if role.is_empty() { organisation } else { format!("{organisation}  ({role})") });
    for above in list(data, "through") {
        add("through", text(above, "agent"));
    }
    let grant = &data["grant"];
    add("grant", text(grant, "id"));
    add("projects", names(grant, "projects"));
    add("environments", names(grant, "environments"));
    add("providers", names(grant, "providers"));
    add("services", names(grant, "services"));
    if !grant["cap"].is_null() {
        add("cap", format!("{} a month at each provider", money(&grant["cap"])));
    }
    for (provider, cap) in grant["caps"].as_object().into_iter().flatten() {
        add("", format!("{} a month at {provider}", money(cap)));
    }
    if !grant["total"].is_null() {
        add("total", format!("{} over the grant's whole life", money(&grant["total"])));
    }
    let may = |name: &str, what: &str| match grant[name].as_bool() {
        Some(true) => format!("yes: {what}"),
        Some(false) => format!("no, it may not {what}"),
        None => String::new(),
    };
    add("export", may("export", "see credentials in plain text"));
    add("irreversible", may("irreversible", "buy what cannot be given back"));
    add("ends", when(grant, "expires_at"));
    for position in list(data, "spend") {
        let (left, cap) = (money(&position["left"]), money(&position["cap"]));
        add("may spend", format!("{left} of {cap} this month at {}", text(position, "provider")));
    }
    if data["frozen"] == true {
        add("frozen", "yes: only a person can thaw it".to_owned());
    }
    screen::table(&rows)
}
