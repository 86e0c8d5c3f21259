//! `run`: a command with the project's variables in its environment, and nowhere else.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};

use purser_values::error::Kind;
use serde_json::json;

use super::env::export;
use crate::arguments::Run;
use crate::context::{Context, PERSON_KEY, PERSON_TOKEN};
use crate::outcome::{Failure, Success};

/// Without `--json` this process becomes the command, so that signals, the terminal and the exit code are the command's own.
pub(super) async fn run(context: &Context, arguments: &Run) -> Result<Success, Failure> {
    let project = context.project()?;
    let (program, rest) = arguments.command.split_first().ok_or_else(|| Failure::invalid("there is no command after `--`"))?;
    let variables = export(context, &project).await?;
    let mut command = Command::new(program);
    command.args(rest).current_dir(&context.folder);
    command.env_remove(PERSON_TOKEN).env_remove(PERSON_KEY); // a person's token is not the agent's to pass on
    command.envs(variables.iter().map(|(name, value)| (name, value.expose())));
    let unable = |error: std::io::Error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Invalid };
        Failure::new(kind, "COMMAND_NOT_STARTED", format!("`{}` cannot be started: {error}", program.to_string_lossy()))
    };
    if !context.global.json {
        return Err(unable(command.exec()));
    }
    // stdout belongs to the envelope; what the command prints goes beside it
    let errors = std::io::stderr();
    let beside = std::os::fd::AsFd::as_fd(&errors).try_clone_to_owned().map_err(unable)?;
    let status = command.stdout(Stdio::from(beside)).status().map_err(unable)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let mut success = Success::new(json!({ "exit_code": code, "variables": variables.keys().collect::<Vec<_>>() }), String::new());
    success.exit_code = u8::try_from(code).unwrap_or(1);
    Ok(success)
}
