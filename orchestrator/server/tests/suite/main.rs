//! The routes and pages as callers see them, over the real stores. One program for all of them: each more would be linked with
//! the whole server again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod alerts;
mod authorize_attacks;
mod bad_money;
mod client_auth;
mod client_by_url;
mod client_document;
mod consent;
mod consent_changes;
mod device_sign_on;
mod exchange;
mod grant_by_code;
mod grant_end;
mod money;
mod organisation;
mod pages;
mod passkeys;
mod people_pages;
mod plain_pages;
mod security;
mod sign_in;
mod sign_on;
mod sso;
mod sso_company;
mod sso_logout;
mod step_up;
mod step_up_routes;
mod takeover;
mod terms;
mod tokens;
mod two_nodes;
mod unknown;
mod who_asks;
mod who_may;
mod workload;
mod world;
