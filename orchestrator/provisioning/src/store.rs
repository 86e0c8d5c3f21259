//! The tables of this crate: projects, accounts at providers, resources, deployments and the controls sent to providers.
//!
//! INVARIANT (one-account): one account per organisation and provider, and a provider's account id belongs to one
//! organisation only; both are unique keys below, so no race can break them.

pub mod account;
pub mod control;
pub mod deployment;
pub mod ending;
pub mod information;
pub mod link;
pub mod nonce;
pub mod payment;
pub mod project;
pub mod provider_key;
pub mod resource;
pub mod webhook;

use purser_db::Migrations;

pub const MIGRATIONS: Migrations = Migrations {
    domain: "provisioning",
    steps: &[
        "create table project (
        id {text} primary key, organisation {text} not null, name {text} not null, created_at {int} not null,
        unique (organisation, name)
    ){strict};
    create table account (
        id {text} primary key, organisation {text} not null, provider {text} not null, state {text} not null,
        request {text} not null, provider_account {text}, access {blob}, refresh {blob}, expires_at {int},
        person {text} not null, agent {text} not null, grant_id {text} not null, created_at {int} not null,
        unique (organisation, provider), unique (provider, provider_account)
    ){strict};
    create table resource (
        id {text} primary key, organisation {text} not null, project {text} not null, project_name {text} not null,
        environment {text} not null, provider {text} not null, service {text} not null, name {text} not null,
        state {text} not null, account {text}, provider_resource {text}, person {text} not null, agent {text} not null,
        grant_id {text} not null, saga {text} not null, configuration {text} not null, endpoints {text} not null,
        facts {text} not null, created_at {int} not null, removed_at {int}
    ){strict};
    create unique index resource_name on resource (project, environment, name) where removed_at is null;
    create index resource_organisation on resource (organisation, created_at);
    create index resource_at_provider on resource (provider, provider_resource);
    create table deployment (
        id {text} primary key, organisation {text} not null, project {text} not null, environment {text} not null,
        resource {text} not null, provider {text} not null, script {text} not null, state {text} not null,
        version {text}, code_digest {text} not null, urls {text} not null, domain {text},
        person {text} not null, agent {text} not null, grant_id {text} not null, created_at {int} not null,
        confirmed_at {int}
    ){strict};
    create index deployment_organisation on deployment (organisation, created_at);
    create table endpoint (
        organisation {text} not null, host {text} not null, resource {text} not null, deployment {text},
        since {int} not null, primary key (organisation, host, resource)
    ){strict};
    create table provider_key (thumbprint {text} primary key, provider {text} not null, seen_at {int} not null){strict};
    create table provider_nonce (
        provider {text} not null, nonce {text} not null, until {int} not null, primary key (provider, nonce)
    ){strict};
    create index provider_nonce_until on provider_nonce (until);
    create table resource_payment (resource {text} primary key, sealed {text} not null){strict};
    create table agent_control (
        agent {text} not null, provider {text} not null, wanted {text} not null, confirmed {text},
        changed_at {int} not null, confirmed_at {int}, last_error {text}, primary key (agent, provider)
    ){strict}",
        link::TABLE,
        webhook::TABLES,
        control::ORDER,
        ending::TABLES,
        information::TABLE,
    ],
};
