//! `status`: what the project has.

use purser_values::error::Kind;
use serde_json::Value;

use super::{list, text, when};
use crate::api::Api;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context) -> Result<Success, Failure> {
    let project = context.project()?;
    let state = &project.state;
    let query = [("environment", state.environment.as_str())];
    let data = context.api(Who::Either)?.get(&["v1", "projects", state.project.name.as_str()], &query).await?;
    let mut parts = vec![format!("project {}  environment {}", state.project.name, state.environment)];
    for (title, columns) in SECTIONS {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let rows: Vec<Vec<String>> = list(&data, title).iter().map(|row| cells(row, columns)).collect();
        if !rows.is_empty() {
            parts.push(format!("{title}\n{}", screen::columns(&names, &[], rows)));
        }
    }
    let nothing = parts.len() == 1;
    parts.extend(list(&data, "accounts").iter().filter(|account| account["waits_for"].is_object()).map(waiting));
    parts.extend(list(&data, "resources").iter().filter(|resource| resource["waits_for"].is_object()).map(at_the_bank));
    parts.extend(list(&data, "resources").iter().filter(|resource| resource["ends_at"].is_string()).map(ending));
    if data["frozen"] == true {
        parts.push("This agent is frozen: only a person can thaw it.".to_owned());
    }
    parts.push(super::spend::caps(&data["spend"]));
    let success = Success::new(data, parts.join("\n\n"));
    Ok(if nothing { success.next("purser add PROVIDER/SERVICE") } else { success })
}

/// What keeps everything else at this provider from going on.
fn waiting(account: &Value) -> String {
    let on = &account["waits_for"];
    let (provider, person, until, url) = (text(account, "provider"), text(on, "person"), when(on, "until"), text(on, "url"));
    format!("The account at {provider} waits for {person} until {until}:\n  {url}")
}

/// What is bought as soon as the person has been at their bank.
fn at_the_bank(resource: &Value) -> String {
    let on = &resource["waits_for"];
    let (name, person, until, url) = (text(resource, "name"), text(on, "person"), when(on, "until"), text(on, "url"));
    format!("The payment for {name} waits for {person} at their bank until {until}:\n  {url}")
}

/// What was ended and runs on to the end of what is paid.
fn ending(resource: &Value) -> String {
    format!("{} ends at {}; nothing more is paid for it.", text(resource, "name"), when(resource, "ends_at"))
}

/// What a section shows: the name of a column and the member that it holds.
type Columns = &'static [(&'static str, &'static str)];

const SECTIONS: [(&str, Columns); 3] = [
    ("accounts", &[("provider", "provider"), ("since", "since"), ("account", "provider_account")]),
    ("resources", &[("name", "name"), ("service", "service"), ("state", "state"), ("id", "id")]),
    ("deployments", &[("script", "script"), ("state", "state"), ("domain", "domain"), ("at", "at"), ("urls", "urls")]),
];

fn cells(row: &Value, columns: Columns) -> Vec<String> {
    let cell = |(_, member): &(&str, &str)| row[*member].as_array().map_or_else(|| when(row, member), |items| words(items));
    columns.iter().map(cell).collect()
}

fn words(items: &[Value]) -> String {
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// A resource as it was typed: by its name in the project, or by its id.
pub(super) struct Named {
    pub id: String,
    /// How people call it: its name and its service, as far as the project says.
    pub words: String,
    /// `provider/service`; empty where the project does not say.
    pub service: String,
}

/// The resource of the project that is named by its name or its id. An id is taken as it is, also outside of a project.
pub(super) async fn resource(context: &Context, api: &Api<'_>, typed: &str) -> Result<Named, Failure> {
    let by_id = typed.starts_with("res_");
    let state = match context.project() {
        Ok(project) => project.state,
        Err(_) if by_id => return Ok(Named { id: typed.to_owned(), words: format!("`{typed}`"), service: String::new() }),
        Err(e) => return Err(e),
    };
    let query = [("environment", state.environment.as_str())];
    let data = match api.get(&["v1", "projects", state.project.name.as_str()], &query).await {
        Ok(data) => data,
        // the orchestrator knows the id, or refuses it with its own words
        Err(_) if by_id => return Ok(Named { id: typed.to_owned(), words: format!("`{typed}`"), service: String::new() }),
        Err(e) => return Err(e),
    };
    let member = if by_id { "id" } else { "name" };
    let found = list(&data, "resources").iter().find(|row| row[member] == typed);
    match found.map(|row| (text(row, "id"), text(row, "name"), text(row, "service"))) {
        Some((id, name, service)) if !id.is_empty() => Ok(Named { id, words: format!("`{name}` ({service})"), service }),
        None if by_id => Ok(Named { id: typed.to_owned(), words: format!("`{typed}`"), service: String::new() }),
        _ => {
            let message = format!("project `{}` has no resource `{typed}` in `{}`", state.project.name, state.environment);
            Err(Failure::new(Kind::NotFound, "RESOURCE_NOT_FOUND", message).hint("`purser status` lists them").next("purser status"))
        }
    }
}
