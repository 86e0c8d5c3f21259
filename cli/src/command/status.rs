//! `status`: what the project has.

use purser_values::error::Kind;
use serde_json::Value;

use super::{list, text};
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
    for (title, member, columns) in SECTIONS {
        let rows: Vec<Vec<String>> = list(&data, member).iter().map(|row| cells(row, columns)).collect();
        if !rows.is_empty() {
            parts.push(format!("{title}\n{}", screen::table(&rows)));
        }
    }
    let nothing = parts.len() == 1;
    parts.extend(list(&data, "accounts").iter().filter(|account| account["waits_for"].is_object()).map(waiting));
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
    let (provider, person, until, url) = (text(account, "provider"), text(on, "person"), text(on, "until"), text(on, "url"));
    format!("The account at {provider} waits for {person} until {until}:\n  {url}")
}

const SECTIONS: [(&str, &str, &[&str]); 3] = [
    ("accounts", "accounts", &["provider", "provider_account", "since"]),
    ("resources", "resources", &["name", "service", "state", "id"]),
    ("deployments", "deployments", &["script", "state", "urls", "domain", "at"]),
];

fn cells(row: &Value, columns: &[&str]) -> Vec<String> {
    let cell = |column: &&str| row[*column].as_array().map_or_else(|| text(row, column), |items| words(items));
    columns.iter().map(cell).collect()
}

fn words(items: &[Value]) -> String {
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// The id of a resource of the project that is named by its name or its id.
pub(super) async fn resource_id(context: &Context, api: &Api<'_>, resource: &str) -> Result<String, Failure> {
    if resource.starts_with("res_") {
        return Ok(resource.to_owned());
    }
    let state = context.project()?.state;
    let query = [("environment", state.environment.as_str())];
    let data = api.get(&["v1", "projects", state.project.name.as_str()], &query).await?;
    let found = list(&data, "resources").iter().find(|row| row["name"] == resource).map(|row| text(row, "id"));
    found.filter(|id| !id.is_empty()).ok_or_else(|| {
        let message = format!("project `{}` has no resource `{resource}` in `{}`", state.project.name, state.environment);
        Failure::new(Kind::NotFound, "RESOURCE_NOT_FOUND", message).hint("`purser status` lists them").next("purser status")
    })
}
