//! `serve`: the orchestrator alone.

use purser_values::error::Kind;

use crate::arguments::Serve;
use crate::outcome::{Failure, Success};

pub(super) async fn run(arguments: &Serve) -> Result<Success, Failure> {
    let message = format!("this build has no orchestrator to run with `{}`", arguments.config.display());
    Err(Failure::new(Kind::Unavailable, "NOT_BUILT", message))
}
