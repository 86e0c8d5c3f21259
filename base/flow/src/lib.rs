//! Durable sagas: ordered steps, journalled, that a crash leaves finished, undone or in a named stuck state.
//!
//! A saga is a kind, a state that serialises and a fixed list of steps. Each step's `act` takes the state and gives the next
//! one; the state and the number of the next step are committed together after each step, so a process that dies repeats at
//! most one step. **Steps must be idempotent**: the effect of repeating one is the effect of doing it once, which remote
//! calls get from the key [`StepCx::key`].
//!
//! INVARIANT (intent-first): the row that says "step N is next" is committed before step N acts.
//!
//! Transient failures are tried again without end at a bounded rate. A permanent one turns the saga round: the steps that
//! were begun are undone in reverse, the failed one first. An undo that fails for good leaves the saga `stuck`, by name.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod engine;
mod saga;
mod store;

pub use engine::{Builder, Engine, Probe};
pub use saga::{Definition, Failure, Step, StepCx, StepError};
pub use store::{MIGRATIONS, Record, Status, begin, get, standing_by_kind, unfinished};
