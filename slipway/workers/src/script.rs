//! Use cases on whole Workers.

mod delete;
mod dispatch;
mod get;
mod producers;
pub(crate) mod schedule;
mod settings;
mod subdomain;
mod suspend;
mod tail;
pub(crate) mod upload;
