//! `check-config`: everything that is wrong with a configuration, at once, without starting anything.

use std::fmt::Write as _;

use purser_server::config;
use purser_values::error::Kind;
use serde_json::json;

use crate::arguments::CheckConfig;
use crate::outcome::{Failure, Success};

pub(super) async fn run(arguments: &CheckConfig) -> Result<Success, Failure> {
    let Some(file) = arguments.file.as_ref().or(arguments.config.as_ref()) else {
        return Err(Failure::invalid("the file to check is missing".to_owned()));
    };
    let found = config::check(file).await;
    if found.problems.is_empty() {
        let done = Success::new(json!(found), format!("`{}` can be served.", file.display()));
        return Ok(found.warnings.iter().fold(done, |done, warning| done.warn(warning)));
    }
    let mut message = match found.problems.len() {
        1 => format!("`{}` has a problem:", file.display()),
        many => format!("`{}` has {many} problems:", file.display()),
    };
    for problem in &found.problems {
        // writing to a string cannot fail
        let _ = write!(message, "\n  - {problem}");
    }
    Err(Failure::new(Kind::Invalid, "CONFIG_UNUSABLE", message).details(json!(found)))
}
