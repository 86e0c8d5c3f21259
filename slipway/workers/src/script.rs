//! Use cases on whole Workers.

mod delete;
mod get;
mod settings;
mod subdomain;
mod suspend;
pub(crate) mod upload;
