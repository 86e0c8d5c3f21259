//! Putting code at a provider, through the provider's own deployment API.
//!
//! The orchestrator uploads with the vaulted credential, so the agent needs none, the digest of the code is known, and a
//! freeze stops the next deployment. The intent (who, which digest, where) is in the log before the provider gets a byte.

pub mod bundle;
mod cloudflare;
mod create;
mod saga;

pub use create::{DeployFile, DeployRequest, Deploying, deployment_create, may_deploy};
pub use saga::{DeployState, KIND, definition};
