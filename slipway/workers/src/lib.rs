//! slipway's runtime: scripts, versions, assets and deployments, and the confined workerd processes that serve them.
//!
//! [`Workers`] is the whole of it: it owns the tables, the blobs and the processes. Every use case is a method of it, named
//! `noun_verb`, in a file of its own: `script_*`, `version_*`, `deployment_*`, `secret_*`, `assets_*`, `subdomain_*`, `domain_*`, `route_*`,
//! `account_suspend`, and [`Workers::route`] for the edge. Inputs and answers are in [`view`], refusals in [`error`].
//!
//! A program that opens it must call [`jail::enter`] first thing in `main`: slipway starts itself again to build each jail.
//!
//! What it does not do: decide who owns a host name or who may call (the server), speak HTTP to visitors (the edge), keep several
//! nodes in step (one node serves one data folder).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod assets;
pub mod binding;
pub mod blobs;
pub mod cron;
mod domain;
pub mod error;
pub mod jail;
pub mod limits;
pub mod name;
pub mod pattern;
pub mod plan;
mod rollout;
mod route;
pub mod runtime;
mod script;
pub mod seams;
mod settle;
pub mod storage;
pub mod store;
pub mod tenant;
pub mod upload;
mod version;
pub mod view;
pub mod workers;

pub use error::WorkersError;
pub use seams::Seams;
pub use version::{Revision, Rollout};
pub use workers::{Condition, Workers, WorkersConfig};
