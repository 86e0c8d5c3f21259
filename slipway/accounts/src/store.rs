//! The tables of this crate. Each module reads and writes its own; here they stand side by side so that the whole is seen.

use purser_db::Migrations;

use crate::account::freeze;
use crate::{audit, provisioning, suspension};

mod people;

/// The tables of accounts, tokens, orders, and of what the provider SDK must remember.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "accounts",
    steps: &[
        CUSTOMERS,
        ORDERS,
        PROVISIONING,
        people::PEOPLE,
        people::KEYS,
        REFUNDS,
        provisioning::control::TABLE,
        TOKENS,
        audit::TABLE,
        suspension::TABLE,
        freeze::TABLE,
        audit::BY_TIME,
    ],
};

const CUSTOMERS: &str = "create table cloud_account (
    id {text} primary key, hex {text} not null unique, issuer {text} not null, subject {text} not null, attested {int} not null,
    email {text} not null, organisation {text} not null, state {text} not null, created_at {int} not null,
    unique (issuer, subject)
){strict};
create index cloud_account_email on cloud_account (email);
create table cloud_member (
    account {text} not null, email {text} not null, role {text} not null, added_at {int} not null,
    primary key (account, email)
){strict};
create table account_request (
    issuer {text} not null, request {text} not null, account {text} not null,
    primary key (issuer, request)
){strict};
create table agent_stop (
    account {text} not null, agent {text} not null, stopped_at {int} not null,
    primary key (account, agent)
){strict};
create table api_token (
    id {text} primary key, account {text} not null, agent {text}, resource {text} not null, hash {text} not null unique,
    prefix {text} not null, last_four {text} not null, permissions {text} not null,
    created_at {int} not null, revoked_at {int}
){strict};
create index api_token_resource on api_token (resource);
create index api_token_agent on api_token (account, agent)";

const ORDERS: &str = "create table cloud_resource (
    id {text} primary key, account {text} not null, service {text} not null, agent {text}, configuration {text} not null,
    orchestrator_resource {text}, project {text}, environment {text}, quote {text}, order_key {text}, claim {text} unique,
    state {text} not null, code {text}, message {text}, created_at {int} not null, changed_at {int} not null,
    unique (account, order_key)
){strict};
create index cloud_resource_account on cloud_resource (account, state);
create table cloud_quote (
    id {text} primary key, account {text} not null, request {text} not null, body {text} not null, digest {text} not null,
    expires_at {int} not null, resource {text}
){strict};
create table cloud_charge (
    id {text} primary key, resource {text} not null, quote {text} not null, line {text} not null, period {text} not null,
    amount_minor {int} not null, currency {text} not null, payment_token {blob}, state {text} not null,
    orchestrator_charge {text}, code {text}, message {text}, created_at {int} not null, settled_at {int},
    unique (resource, line, period)
){strict};
create index cloud_charge_open on cloud_charge (state, created_at);
create table cloud_subscription (
    id {text} primary key, account {text} not null, resource {text} not null unique, plan {text} not null, state {text} not null,
    price_minor {int} not null, currency {text} not null, period_start {int} not null, period_end {int} not null,
    cancelled_at {int}
){strict};
create index cloud_subscription_account on cloud_subscription (account, state)";

const PROVISIONING: &str = "create table provisioning_nonce (
    nonce {text} primary key, expires_at {int} not null
){strict};
create index provisioning_nonce_expiry on provisioning_nonce (expires_at);
create table provisioning_code (
    code {text} primary key, account {text} not null, request {text}, challenge {text}, expires_at {int} not null, used_at {int}
){strict};
create table provisioning_pair (
    access {text} primary key, refresh {text} not null unique, account {text} not null, family {text},
    access_expires_at {int} not null, refresh_expires_at {int} not null
){strict};
create index provisioning_pair_family on provisioning_pair (family);
create table provisioning_answer (
    scope {text} not null, answer_key {text} not null, request {text} not null, begun_at {int} not null,
    status {int}, sealed {blob},
    primary key (scope, answer_key)
){strict}";

/// Tokens that tokens made.
const TOKENS: &str = "alter table api_token add column parent {text};
alter table api_token add column name {text};
alter table api_token add column not_before {int};
alter table api_token add column expires_at {int};
alter table api_token add column disabled {int};
alter table api_token add column changed_at {int};
create index api_token_parent on api_token (parent)";

/// What is given back of what was charged.
const REFUNDS: &str = "create table cloud_refund (
    id {text} primary key, charge {text} not null unique, resource {text} not null, orchestrator_charge {text} not null,
    amount_minor {int} not null, currency {text} not null, reason {text} not null, state {text} not null,
    orchestrator_refund {text}, code {text}, message {text}, created_at {int} not null, settled_at {int}
){strict};
create index cloud_refund_resource on cloud_refund (resource);
create index cloud_refund_state on cloud_refund (state)";
