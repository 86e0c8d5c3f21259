//! Jobs: one follow-up effect each, enqueued in the write that causes it, run at least once afterwards.
//!
//! A job is claimed with a lease, run outside any transaction, and then done, tried again later, or parked where people see
//! it. A process that dies leaves its lease to run out, so a job may run twice: its effect must be idempotent.

mod runner;
mod store;

pub use runner::{Handler, JobFailure, Runner};
pub use store::{Job, NewJob, Parked, enqueue, forget_done, parked, waiting};

pub(crate) const TABLE: &str = "create table job (
    id {text} primary key, kind {text} not null, payload {text} not null, state {text} not null,
    attempts {int} not null, run_at {int} not null, last_error {text}, created_at {int} not null,
    dedupe {text} unique
){strict};
create index job_ready on job (state, run_at)";
