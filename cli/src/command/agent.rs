//! `agent`: a person's own commands.

use purser_values::error::Kind;
use purser_values::id::AgentId;
use serde_json::{Value, json};

use super::{list, text, when};
use crate::api::Api;
use crate::arguments::{Freeze, Thaw};
use crate::context::{Context, address};
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn list_agents(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Person)?.get(&["v1", "agents"], &[]).await?;
    let rows: Vec<Vec<String>> = list(&data, "agents").iter().map(row).collect();
    let text = if rows.is_empty() {
        "There are no agents yet.".to_owned()
    } else {
        screen::columns(&["name", "state", "grant until", "id"], &[], rows)
    };
    Ok(Success::new(data, text))
}

fn row(agent: &Value) -> Vec<String> {
    let held: Vec<&Value> = list(agent, "grants").iter().filter(|grant| grant["in_force"] == true).collect();
    let state = match (agent["frozen"] == true, held.is_empty(), agent["stopped_with"]["name"].as_str()) {
        (true, ..) => "frozen".to_owned(),
        (false, true, _) => "no grant".to_owned(),
        (false, false, Some(above)) => format!("stopped with {above:?}"),
        (false, false, None) => "acting".to_owned(),
    };
    // the text of a time sorts as the time does
    let until = held.iter().map(|grant| when(&grant["scope"], "expires_at")).max().unwrap_or_default();
    vec![text(agent, "name"), state, until, text(agent, "id")]
}

pub(super) async fn freeze(context: &Context, arguments: &Freeze) -> Result<Success, Failure> {
    let api = context.api(Who::Person)?;
    let id = named(&api, &arguments.agent).await?;
    let data = api.post(&["v1", "agents", id.as_ref(), "freeze"], &[], &json!({ "dark": arguments.dark })).await?;
    let names = |member: &str| -> Vec<String> {
        list(&data, member).iter().map(|v| v.as_str().map_or_else(|| text(v, "provider"), str::to_owned)).collect()
    };
    let (confirmed, missing) = (names("confirmed"), names("not_confirmed"));
    let mut lines = vec![format!("`{id}` is frozen since {}.", when(&data, "frozen_at"))];
    if !confirmed.is_empty() {
        lines.push(format!("confirmed      {}", confirmed.join(", ")));
    }
    if !missing.is_empty() {
        lines.push(format!("not confirmed  {}", missing.join(", ")));
    }
    let mut success = Success::new(data, lines.join("\n")).next(format!("purser agent thaw {id}"));
    if !missing.is_empty() {
        success = success.warn(format!("not confirmed yet by {}: it is tried again until it is", missing.join(", ")));
    }
    Ok(success)
}

/// Thawing gives authority back, so a person does it on the page, signed in anew.
pub(super) fn thaw(context: &Context, arguments: &Thaw) -> Result<Success, Failure> {
    let id = id(&arguments.agent)?;
    let url = format!("{}/agents#{id}", address(&context.orchestrator()?));
    Ok(Success::new(json!({ "agent": id.to_string(), "url": url }), format!("Open {url} and thaw it there.")))
}

/// The agent that is typed by its id, or by a name that one agent alone has.
pub(super) async fn named(api: &Api<'_>, typed: &str) -> Result<AgentId, Failure> {
    if typed.starts_with("agt_") {
        return id(typed);
    }
    let data = api.get(&["v1", "agents"], &[]).await?;
    let found: Vec<String> = list(&data, "agents").iter().filter(|agent| agent["name"] == typed).map(|agent| text(agent, "id")).collect();
    match found.as_slice() {
        [one] => id(one),
        [] => {
            Err(Failure::new(Kind::NotFound, "AGENT_UNKNOWN", format!("there is no agent `{typed}`"))
                .hint("`purser agent list` shows them"))
        }
        many => {
            let failure = Failure::new(Kind::Conflict, "AGENT_AMBIGUOUS", format!("{} agents are called `{typed}`", many.len()));
            Err(failure.hint(format!("name one by its id: {}", many.join(", "))))
        }
    }
}

fn id(typed: &str) -> Result<AgentId, Failure> {
    typed.parse().map_err(|e| Failure::invalid(format!("{e}")).hint("`purser agent list` shows the ids"))
}
