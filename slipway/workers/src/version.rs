//! Use cases on versions, deployments and secrets.

mod create;
mod deploy;
mod get;
mod revise;
mod secret;

pub use revise::Revision;
pub use secret::Rollout;
