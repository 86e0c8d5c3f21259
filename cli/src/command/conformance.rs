//! `conformance`: test any provider, ours or another's, from outside.

use crate::arguments::Conformance;
use crate::outcome::{Failure, Success};

pub(super) async fn run(_arguments: &Conformance) -> Result<Success, Failure> {
    Err(Failure::new(purser_values::error::Kind::Unavailable, "NOT_BUILT", "this build has no conformance tester"))
}
