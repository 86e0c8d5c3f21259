//! Jobs: one follow-up effect each, enqueued in the write that causes it, run at least once afterwards.
//!
//! A job is claimed with a short lease, which is renewed while it runs outside any transaction, and then done, tried again later, or
//! parked where people see it. A process that dies leaves its leases to run out, so a job may run twice: its effect must be idempotent.

mod runner;
mod running;
mod store;

pub use runner::{Handler, JobFailure, Runner};
pub use store::{Job, NewJob, Parked, enqueue, forget_done, parked, waiting};

pub(crate) const TABLE: &str = "create table job (
    id {text} primary key, kind {text} not null, payload {text} not null, state {text} not null,
    attempts {int} not null, run_at {int} not null, last_error {text}, created_at {int} not null,
    dedupe {text} unique
){strict};
create index job_ready on job (state, run_at)";

/// Jobs of one lane run few at a time: each lane is an address of a stranger, who may be slow.
pub(crate) const LANES: &str = "alter table job add column lane {text};
create index job_lane on job (state, lane, run_at);
drop index job_ready";
