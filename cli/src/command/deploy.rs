//! `deploy`: upload a folder through the orchestrator, which holds the token and so knows which code runs.

use purser_values::name::DomainName;
use serde_json::{Map, Value, json};

use super::saga::{Ended, Patience, follow};
use super::{list, text};
use crate::api::Form;
use crate::arguments::Deploy;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::{deploy, screen};

pub(super) async fn run(context: &Context, arguments: &Deploy) -> Result<Success, Failure> {
    let domain = arguments.domain.as_ref().map(|domain| domain.parse::<DomainName>()).transpose();
    let domain = domain.map_err(|e| Failure::invalid(e.to_string()))?;
    let project = context.project()?;
    let api = context.api(Who::Agent)?;
    let bundle = deploy::gather(&context.folder.join(&arguments.folder))?;
    let digest = bundle.code_digest().to_string();
    screen::progress(&format!("uploading {} files, {digest}", bundle.modules.len() + bundle.assets.len()));

    let mut metadata: Map<String, Value> = Map::new();
    let mut add = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    add("project", json!(project.state.project.name));
    add("environment", json!(project.state.environment));
    let name = arguments.name.clone().or_else(|| bundle.name.clone());
    add("name", json!(name.unwrap_or_else(|| project.state.project.name.to_string())));
    if let Some(resource) = &arguments.resource {
        add("resource", json!(resource));
    }
    if let Some(domain) = &domain {
        add("domain", json!(domain));
    }
    metadata.extend(deploy::metadata(&bundle));

    let mut form = Form::new(&context.env);
    form.field("metadata", "application/json", Value::Object(metadata).to_string().as_bytes());
    for module in &bundle.modules {
        form.file(&module.name, module.content_type, &module.bytes);
    }
    for asset in &bundle.assets {
        form.file(&format!("assets/{}", asset.name), asset.content_type, &asset.bytes);
    }
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let answer = api.upload(&["v1", "deployments"], &[("wait", &patience.ask())], form).await?;
    match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => Ok(done(answer, &digest)),
        Ended::Running(answer) => Ok(Success::new(answer, "It is uploaded and on its way.").next("purser status")),
    }
}

fn done(answer: Value, digest: &str) -> Success {
    let theirs = text(&answer, "code_digest");
    let live = text(&answer, "live_url");
    let mut lines = vec![format!("Live: {live}")];
    lines.extend(list(&answer, "urls").iter().filter_map(Value::as_str).filter(|url| *url != live).map(|url| format!("      {url}")));
    lines.push(format!("code  {theirs}"));
    lines.push(format!("      deployment {}, version {}", text(&answer, "deployment"), text(&answer, "version")));
    let success = Success::new(answer, lines.join("\n")).next(format!("purser trace {live}"));
    if theirs.is_empty() || theirs == digest {
        return success;
    }
    success.warn(format!("the digest of what was uploaded is {digest}: something else was deployed"))
}
