//! The tables of this domain.

mod address;
mod approval;
mod clients;
mod company_logout;
mod delegation;
mod device;
mod freeze;
mod keys;
mod open_price;
mod organisation;
mod presence;
mod registrar;
mod security;
mod sso;
mod terminals;
mod terms;
mod tokens;
mod workload;

use purser_db::Migrations;

pub const MIGRATIONS: Migrations = Migrations {
    domain: "identity",
    steps: &[
        TABLES,
        KNOWN_BROWSERS,
        RUN_OUT,
        clients::CLIENTS,
        presence::PRESENCE,
        security::SECURITY,
        organisation::ORGANISATIONS,
        delegation::DELEGATION,
        approval::APPROVAL,
        tokens::TOKENS,
        workload::WORKLOADS,
        terms::TERMS_LEDGER,
        device::DEVICE_SIGN_ON,
        registrar::REGISTRAR,
        keys::KEYS,
        sso::SSO,
        company_logout::COMPANY_LOGOUT,
        terminals::TERMINALS,
        open_price::OPEN_PRICE,
        freeze::FROZEN_FOR,
        address::ADDRESS,
    ],
};

const TABLES: &str = "
create table person (id {text} primary key, email {text} not null unique, created_at {int} not null){strict};
create table organisation (id {text} primary key, name {text} not null, created_at {int} not null){strict};
create table membership (
    organisation {text} not null references organisation (id), person {text} not null references person (id),
    role {text} not null, created_at {int} not null, primary key (organisation, person)
){strict};
create index membership_person on membership (person, created_at);
create table sign_in_code (
    attempt {text} primary key, email {text} not null, peer {text} not null, code_mac {blob} not null, tries {int} not null,
    created_at {int} not null, expires_at {int} not null, used_at {int}
){strict};
create index sign_in_code_email on sign_in_code (email, created_at);
create index sign_in_code_peer on sign_in_code (peer, created_at);
create table session (
    id {text} primary key, token_hash {text} not null unique, person {text} not null, organisation {text} not null,
    signed_in_at {int} not null, expires_at {int} not null, ended_at {int}
){strict};
create table agent (
    id {text} primary key, organisation {text} not null, person {text} not null, jkt {text} not null, jwk {text} not null,
    name {text} not null, created_at {int} not null, frozen_at {int}, frozen_by {text}, dark {int} not null,
    unique (organisation, jkt)
){strict};
create table grant_request (
    id {text} primary key, device_code {text} not null unique, user_code {text} not null unique, kind {text} not null,
    name {text} not null, jkt {text} not null, jwk {text} not null, asked {text} not null, peer {text} not null,
    created_at {int} not null, expires_at {int} not null, state {text} not null, decided_at {int}, person {text},
    organisation {text}, grant_id {text}, redeemed_at {int}
){strict};
create index grant_request_peer on grant_request (peer, state, expires_at);
create table agent_grant (
    id {text} primary key, organisation {text} not null, person {text} not null, agent {text} not null,
    request {text} not null unique, scope {text} not null, terms {text} not null, record {text} not null,
    record_digest {text} not null, accepted_at {int} not null, expires_at {int} not null, revoked_at {int}, revoked_how {text}
){strict};
create index agent_grant_agent on agent_grant (agent, accepted_at);
create index agent_grant_organisation on agent_grant (organisation, accepted_at);
create table revoke_link (
    token_hash {text} primary key, grant_id {text} not null, created_at {int} not null, used_at {int}
){strict};
create table terms_document (
    provider {text} not null, sha256 {text} not null, url {text} not null, version {text} not null, title {text} not null,
    body {blob} not null, kept_at {int} not null, superseded_at {int}, primary key (provider, url, version, sha256)
){strict};
create table terms_acceptance (
    id {text} primary key, organisation {text} not null, person {text} not null, grant_id {text} not null,
    provider {text} not null, sha256 {text} not null, url {text} not null, version {text} not null, accepted_at {int} not null
){strict};
create index terms_acceptance_organisation on terms_acceptance (organisation, provider);
create table token_family (
    id {text} primary key, grant_id {text} not null, revoked_at {int}, revoked_why {text}
){strict};
create index token_family_grant on token_family (grant_id);
create table refresh_token (
    token_hash {text} primary key, family {text} not null, jkt {text} not null, issued_at {int} not null,
    expires_at {int} not null, used_at {int}, successor {text}
){strict};
create table person_token (
    id {text} primary key, person {text} not null, organisation {text} not null, jkt {text} not null, expires_at {int} not null,
    revoked_at {int}
){strict};
create table dpop_proof (replay {text} primary key, expires_at {int} not null){strict};
create index dpop_proof_expires on dpop_proof (expires_at);
create table signing_key (
    kid {text} primary key, sealed {blob} not null, public {text} not null, created_at {int} not null, retired_at {int}
){strict};
create table identity_secret (name {text} primary key, sealed {blob} not null){strict}";

/// Which known browser asked for a code, and when its mail was sent, if it was.
const KNOWN_BROWSERS: &str = "
alter table sign_in_code add column browser {text};
alter table sign_in_code add column mailed_at {int};
create index sign_in_code_browser on sign_in_code (browser, created_at)";

/// When it was noticed that a grant had run out.
const RUN_OUT: &str = "
alter table agent_grant add column run_out_at {int};
create index agent_grant_run_out on agent_grant (expires_at) where run_out_at is null and revoked_at is null";
