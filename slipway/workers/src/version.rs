//! Use cases on versions, deployments and secrets.

mod create;
mod deploy;
mod get;
mod secret;

pub use secret::Rollout;
