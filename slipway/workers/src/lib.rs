//! slipway's runtime: scripts, versions, assets and deployments, and the confined workerd processes that serve them.
//!
//! [`Workers`] is the whole of it: it owns the tables, the blobs and the processes. Every use case is one method in one file:
//!
//! ```text
//! Workers::open(config, db, keyring, env)                              -> Workers          everything deployed is live again
//! script_upload(account, script, upload, author)                       -> Deployed         PUT scripts/{name}
//! script_get(account, script)                                          -> Service          services/{name}, workers/workers/{name}
//! script_list(account)                                                 -> Vec<Script>
//! script_delete(account, script, force)                                -> ()
//! script_settings_patch(account, script, patch)                        -> Script
//! version_create(account, script, upload, author)                      -> Version          validates, does not route
//! version_get(account, script, version)                                -> Version
//! version_list(account, script)                                        -> Vec<Version>     newest first
//! deployment_create(account, script, version, annotations, author)     -> Deployment       100 % of one version
//! deployment_list(account, script)                                     -> Vec<Deployment>  newest first
//! secret_put(account, script, name, text, author)                      -> SecretInfo       new version, deployed
//! secret_delete(account, script, name, author)                         -> ()
//! secret_bulk(account, script, BTreeMap<name, Option<text>>, author)   -> ()
//! secret_list(account, script)                                         -> Vec<SecretInfo>
//! subdomain_get(account) / subdomain_put(account, name)                -> Subdomain
//! script_subdomain_put(account, script, ScriptSubdomain)               -> ScriptSubdomain
//! script_hostname(account, script)                                     -> Option<HostName> the name below the common domain
//! domain_changeset(account, script, owned, replace)                    -> DomainChangeset  changes nothing
//! domain_put(account, script, owned, override, replace)                -> Vec<CustomDomain>
//! domain_list(account) / domain_delete(account, id)
//! assets_session_create(account, script, manifest)                     -> AssetsSession
//! assets_upload(jwt, files)                                            -> Option<String>   the completion token
//! account_suspend(account, suspended)                                  -> ()               takes the sites off line and back
//! route(host)                                                          -> Target           no I/O; table in memory
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod assets;
pub mod binding;
pub mod blobs;
mod domain;
pub mod error;
pub mod jail;
pub mod limits;
pub mod name;
pub mod plan;
mod rollout;
pub mod runtime;
mod script;
pub mod store;
pub mod upload;
mod version;
pub mod view;
pub mod workers;

pub use error::WorkersError;
pub use version::Rollout;
pub use workers::{Workers, WorkersConfig};
