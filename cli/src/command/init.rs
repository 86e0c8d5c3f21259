//! `init`: bind this folder to a project.

use purser_values::name::{EnvironmentName, ProjectName};
use serde_json::json;

use super::text;
use crate::arguments::Init;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::project::{self, Named, Project};

pub(super) async fn run(context: &Context, arguments: &Init) -> Result<Success, Failure> {
    let name = match &arguments.name {
        Some(name) => name.parse::<ProjectName>().map_err(|e| Failure::invalid(e.to_string()))?,
        None => match Project::find(&context.folder) {
            Ok(found) if found.root == context.folder => found.state.project.name,
            _ => project::name_of_folder(&context.folder)
                .ok_or_else(|| Failure::invalid("this folder's name is no project name").hint("name it: `purser init NAME`"))?,
        },
    };
    Project::free_for(&context.folder, &name)?;
    let environment = context.global.environment.as_deref().unwrap_or("development");
    let environment: EnvironmentName = environment.parse().map_err(|e| Failure::invalid(format!("{e}")))?;
    let made = context.api(Who::Agent)?.post(&["v1", "projects"], &[], &json!({ "name": name })).await?;
    let project = Project::bind(&context.env, &context.folder, Named { id: text(&made, "id"), name }, environment)?;
    let state = &project.state;
    let data = json!({
        "project": { "id": state.project.id, "name": state.project.name },
        "environment": state.environment,
        "environments": made["environments"],
        "root": project.root,
    });
    let text = format!("Project `{}` lives in `{}`, environment `{}`.", state.project.name, project.root.display(), state.environment);
    Ok(Success::new(data, text).next("purser catalog").next("purser add slipway/workers"))
}
