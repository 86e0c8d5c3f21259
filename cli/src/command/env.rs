//! `env`: the names of the project's variables, or their values in a file that only the owner may read.

use std::path::Path;

use purser_values::Secret;
use purser_values::error::Kind;
use serde_json::{Value, json};

use super::{list, text};
use crate::arguments::EnvArguments;
use crate::context::Context;
use crate::git::{self, Standing};
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::project::Project;
use crate::variables::{self, Variables};
use crate::{files, screen};

pub(super) async fn run(context: &Context, arguments: &EnvArguments) -> Result<Success, Failure> {
    let project = context.project()?;
    if arguments.pull { pull(context, &project, arguments).await } else { names(context, &project).await }
}

async fn names(context: &Context, project: &Project) -> Result<Success, Failure> {
    let state = &project.state;
    let query = [("project", state.project.name.as_str()), ("environment", state.environment.as_str())];
    let data = context.api(Who::Agent)?.get(&["v1", "variables"], &query).await?;
    let rows: Vec<Vec<String>> =
        list(&data, "variables").iter().map(|v| vec![text(v, "name"), text(v, "value"), text(v, "resource")]).collect();
    let text = if rows.is_empty() { "There are no variables yet.".to_owned() } else { screen::table(&rows) };
    Ok(Success::new(data, text).next("purser run -- COMMAND"))
}

async fn pull(context: &Context, project: &Project, arguments: &EnvArguments) -> Result<Success, Failure> {
    let path = match &arguments.output {
        Some(output) => context.folder.join(output),
        None => project.root.join(".env"),
    };
    // what is in the file already stays: only our own block in it is written anew
    files::free_for(&path, true)?;
    fit(&path)?;
    let old = Secret::new(files::read_text(&path)?.unwrap_or_default());
    let variables = export(context, project).await?;
    let merged = variables::merge(old.expose(), &variables)?;
    files::write_private(&context.env, &path, merged.text.expose().as_bytes())?;
    let names: Vec<&String> = variables.keys().collect();
    let data = json!({ "output": path, "variables": names });
    let mut success = Success::new(data, format!("Wrote {} variables to `{}`, for your eyes only.", names.len(), path.display()));
    for name in merged.doubled {
        success = success.warn(format!("`{name}` is also set by a line of your own in the file"));
    }
    Ok(success)
}

/// Refuses a file that a commit could take, and a link that leads elsewhere, before anything secret is fetched.
fn fit(path: &Path) -> Result<(), Failure> {
    let refuse = |code: &str, message: String| Failure::new(Kind::Conflict, code, message);
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        let message = format!("`{}` is a link or no file, so secrets are not written to it", path.display());
        return Err(refuse("ENV_FILE_UNFIT", message).hint("name another file with `--output FILE`"));
    }
    if git::standing(path) == Standing::Exposed {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(refuse("ENV_FILE_NOT_IGNORED", format!("Git does not ignore `{}`, so its secrets could be committed", path.display()))
            .hint(format!("add it to `.gitignore`: `echo {name} >> .gitignore` (and `git rm --cached` it if it was committed)")));
    }
    Ok(())
}

/// The values in plain text: the grant must allow it, and the orchestrator records it.
pub(super) async fn export(context: &Context, project: &Project) -> Result<Variables, Failure> {
    let state = &project.state;
    let body = json!({ "project": state.project.name, "environment": state.environment });
    let answer = context.api(Who::Agent)?.post(&["v1", "variables", "export"], &[], &body).await?;
    let mut found = Variables::new();
    if let Value::Object(mut members) = answer
        && let Some(Value::Object(values)) = members.remove("variables")
    {
        for (name, value) in values {
            let Value::String(value) = value else {
                let message = format!("the value of `{}` is no text", screen::plain(&name));
                return Err(Failure::new(Kind::Provider, "VARIABLE_VALUE", message));
            };
            found.insert(name, Secret::new(value));
        }
    }
    variables::check(&found)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(".env");
        std::os::unix::fs::symlink("/etc/hosts", &link).unwrap();
        assert_eq!(fit(&link).unwrap_err().code, "ENV_FILE_UNFIT");
        assert!(fit(&folder.path().join("other")).is_ok());
    }
}
