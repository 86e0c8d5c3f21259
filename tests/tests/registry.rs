//! Domains: a registrar against a registry that both speak EPP, and what foreign programs say of our registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "registry/domains.rs"]
mod domains;
#[path = "registry/foreign.rs"]
mod foreign;
#[path = "registry/life.rs"]
mod life;
#[path = "registry/parents.rs"]
mod parents;
#[path = "registry/schemas.rs"]
mod schemas;
#[path = "registry/support.rs"]
mod support;
#[path = "registry/tls.rs"]
mod tls;
#[path = "registry/upkeep.rs"]
mod upkeep;
