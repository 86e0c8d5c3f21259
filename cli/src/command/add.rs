//! `add`: provision a service, or say everything that stands in the way.

use purser_http::misfit;
use purser_values::error::Kind;
use purser_values::id::ApprovalId;
use purser_values::name::{ResourceName, ServiceRef};
use serde_json::{Map, Value, json};

use super::saga::{Ended, Patience, follow};
use super::{list, money, text};
use crate::arguments::Add;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context, arguments: &Add) -> Result<Success, Failure> {
    let mut body = request(context, &arguments.service, arguments.config.as_deref(), arguments.name.as_deref())?;
    body["preflight"] = json!(arguments.preflight);
    if let Some(approval) = &arguments.approval {
        let id: ApprovalId = approval.parse().map_err(|e| Failure::invalid(format!("{e}")))?;
        body["approval"] = json!(id);
    }
    let api = context.api(Who::Agent)?;
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let answer = api.post(&["v1", "resources"], &[("wait", &patience.ask())], &body).await?;
    if arguments.preflight {
        return preflight(answer);
    }
    match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => Ok(done(answer)),
        Ended::Running(answer) => {
            Ok(Success::new(answer, "It is still being made; nothing more is needed from you.").next("purser status"))
        }
    }
}

/// What is asked for, in the folder's project and environment.
pub(super) fn request(context: &Context, service: &str, config: Option<&str>, name: Option<&str>) -> Result<Value, Failure> {
    let service: ServiceRef = service.parse().map_err(|e| Failure::invalid(format!("{e}")).next("purser catalog"))?;
    let configuration = configuration(config)?;
    let name = name.map(str::parse::<ResourceName>).transpose().map_err(|e| Failure::invalid(e.to_string()))?;
    let project = context.project()?;
    let mut body = json!({
        "project": project.state.project.name,
        "environment": project.state.environment,
        "service": service,
        "configuration": configuration,
    });
    if let Some(name) = name {
        body["name"] = json!(name);
    }
    Ok(body)
}

/// The object that was typed. An empty one where none was.
pub(super) fn configuration(typed: Option<&str>) -> Result<Value, Failure> {
    let Some(typed) = typed else { return Ok(json!({})) };
    let members: Map<String, Value> = misfit::json(typed.as_bytes()).map_err(|misfit| {
        let failure = Failure::invalid(format!("`--config` is not a JSON object: {}", misfit.why));
        failure.hint("for example: `--config '{\"domain\":\"example.test\"}'`")
    })?;
    Ok(Value::Object(members))
}

fn preflight(answer: Value) -> Result<Success, Failure> {
    let rows: Vec<Vec<String>> = list(&answer, "rows")
        .iter()
        .map(|row| {
            let mark = if row["pass"] == true { "ok" } else { "no" };
            vec![mark.to_owned(), text(row, "label"), text(row, "remedy"), text(row, "who")]
        })
        .collect();
    let cost = if answer["cost"].is_null() { String::new() } else { format!("\n\ncost: {}", super::catalog::price(&answer["cost"])) };
    let text = format!("{}{cost}", screen::table(&rows));
    if answer["ready"] == true {
        let warnings: Vec<String> = list(&answer, "warnings").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        return Ok(warnings.into_iter().fold(Success::new(answer, text), Success::warn));
    }
    let blockers = list(&answer, "rows").iter().filter(|row| row["pass"] != true);
    let names: Vec<String> = blockers.clone().map(|row| super::text(row, "label")).collect();
    let for_person = blockers.clone().any(|row| row["who"] == "person");
    let code = blockers.clone().find_map(|row| row["code"].as_str()).unwrap_or("NOT_READY").to_owned();
    let kind = if for_person { Kind::NeedsPerson } else { Kind::Conflict };
    let hint = blockers.filter_map(|row| row["remedy"].as_str()).collect::<Vec<_>>().join("; ");
    Err(Failure::new(kind, &code, format!("not ready: {}", names.join(", "))).hint(hint).details(answer))
}

fn done(answer: Value) -> Success {
    let resource = &answer["resource"];
    let mut lines = vec![format!("`{}` is there: {}", text(resource, "name"), text(resource, "service"))];
    if !answer["charged"].is_null() {
        lines.push(format!("charged    {}", money(&answer["charged"])));
    }
    if resource["irreversible"] == true {
        lines.push("this cannot be undone".to_owned());
    }
    for endpoint in list(resource, "endpoints") {
        lines.push(format!("endpoint   {}", text(endpoint, "value")));
    }
    let names: Vec<String> =
        list(resource, "variables").iter().map(|v| v.as_str().map_or_else(|| text(v, "name"), str::to_owned)).collect();
    if !names.is_empty() {
        lines.push(format!("variables  {}", names.join(", ")));
    }
    let success = Success::new(answer, lines.join("\n")).next("purser status");
    if names.is_empty() { success } else { success.next("purser deploy DIR") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_an_object() {
        assert_eq!(configuration(None).unwrap(), json!({}));
        for bad in ["", "{", "[]", "\"x\"", "1", "{'a':1}"] {
            assert!(configuration(Some(bad)).is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_preflight_names_every_blocker_at_once() {
        let rows = json!([
            {"label": "terms", "pass": false, "code": "TOS_ACCEPTANCE_REQUIRED", "remedy": "accept them", "who": "person"},
            {"label": "plan", "pass": false, "code": "PLAN_REQUIRED", "remedy": "add a plan", "who": "agent"},
            {"label": "cap", "pass": true, "code": null, "remedy": null, "who": null},
        ]);
        let failure = preflight(json!({"ready": false, "rows": rows, "cost": null})).unwrap_err();
        assert_eq!(failure.kind, Kind::NeedsPerson);
        assert_eq!(failure.message, "not ready: terms, plan");
        assert_eq!(failure.hint.as_deref(), Some("accept them; add a plan"));
        assert_eq!(failure.details["rows"].as_array().unwrap().len(), 3);
    }
}
