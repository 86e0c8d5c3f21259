//! The tables of the runtime. Code and asset lists are blobs; rows hold their digests.

pub mod account;
pub mod asset;
pub mod blob;
pub mod deployment;
pub mod domain;
pub mod environment;
pub mod object;
pub mod route;
pub mod schedule;
pub mod script;
pub mod version;

use purser_db::{DbError, Migrations, Row};

use crate::view::Author;

/// The tables of this crate.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "workers",
    steps: &[
        "
create table worker_account (
    account {text} primary key, number {int} not null unique, subdomain {text} unique, suspended {int} not null, created_at {int} not null
){strict};
create table worker_script (
    account {text} not null, name {text} not null, tag {text} not null, created_at {int} not null, modified_at {int} not null,
    tags {text} not null, logpush {int} not null, observability {text} not null, tail_consumers {text} not null,
    subdomain_enabled {int} not null, previews_enabled {int} not null, versions {int} not null, deployments {int} not null,
    primary key (account, name)
){strict};
create table worker_version (
    id {text} primary key, account {text} not null, script {text} not null, number {int} not null, created_at {int} not null,
    author_source {text} not null, author_id {text} not null, author_email {text}, annotations {text} not null,
    compatibility_date {text} not null, compatibility_flags {text} not null, form {text} not null, main_part {text},
    modules {text} not null, bindings {text} not null, asset_list {text}, code_digest {text} not null, startup_ms {int},
    unique (account, script, number)
){strict};
create table worker_secret (
    version {text} not null, name {text} not null, sealed {blob} not null, primary key (version, name)
){strict};
create table worker_deployment (
    id {text} primary key, account {text} not null, script {text} not null, number {int} not null, version {text} not null,
    created_at {int} not null, author_source {text} not null, author_id {text} not null, author_email {text}, annotations {text} not null,
    unique (account, script, number)
){strict};
create table worker_domain (
    hostname {text} primary key, id {text} not null unique, account {text} not null, script {text} not null, zone_id {text} not null,
    zone_name {text} not null, created_at {int} not null
){strict};
create index worker_domain_by_account on worker_domain (account);
create table worker_asset (
    account {text} not null, hash {text} not null, sha256 {text} not null, bytes {int} not null, content_type {text},
    primary key (account, hash)
){strict};
create table worker_asset_session (
    id {text} primary key, account {text} not null, script {text} not null, manifest {text} not null, expires_at {int} not null
){strict};
create table worker_key (name {text} primary key, sealed {blob} not null){strict};
",
        OWN_HASHES,
        BLOBS,
        OBJECTS,
        route::TABLE,
        OBJECT_BYTES,
        ENVIRONMENTS,
    ],
};

/// What was uploaded before is asked for again: nobody knows by whom it was.
const OWN_HASHES: &str = "
drop table worker_asset_session;
drop table worker_asset;
create table worker_asset (
    account {text} not null, script {text} not null, holder {text} not null, hash {text} not null, sha256 {text} not null,
    bytes {int} not null, content_type {text},
    primary key (account, script, holder, hash)
){strict};
create table worker_asset_session (
    id {text} primary key, account {text} not null, script {text} not null, holder {text} not null, manifest {text} not null,
    expires_at {int} not null
){strict};
";

/// Blobs by the account that keeps them. What was uploaded before counts as just spoken of by the first sweep.
const BLOBS: &str = "
create table worker_blob (
    account {text} not null, sha256 {text} not null, bytes {int} not null, touched_at {int} not null,
    primary key (account, sha256)
){strict};
create index worker_blob_by_digest on worker_blob (sha256);
create index worker_asset_session_by_account on worker_asset_session (account, expires_at);
insert into worker_blob (account, sha256, bytes, touched_at)
    select account, sha256, max(bytes), 0 from worker_asset group by account, sha256;
";

/// Classes of Durable Objects. The key names the folder of their data and stays, whatever the class is called or whose it becomes.
const OBJECTS: &str = "
create table worker_object_class (
    key {text} primary key, account {text} not null, script {text} not null, class {text} not null, created_at {int} not null,
    unique (account, script, class)
){strict};
create table worker_migration (
    account {text} not null, script {text} not null, tag {text} not null, primary key (account, script)
){strict};
create table worker_schedule (
    account {text} not null, script {text} not null, cron {text} not null, created_at {int} not null, modified_at {int} not null,
    next_at {int} not null, primary key (account, script, cron)
){strict};
create table worker_deployment_minor (
    deployment {text} primary key, account {text} not null, script {text} not null, version {text} not null, share {int} not null
){strict};
create index worker_schedule_by_time on worker_schedule (next_at);
";

/// What Durable Objects keep on the disk: workerd writes it, so it is looked up there every now and then.
const OBJECT_BYTES: &str = "
create table worker_object_bytes (account {text} primary key, bytes {int} not null){strict};
";

/// What was made before there were environments is in the one that nobody named.
const ENVIRONMENTS: &str = "
alter table worker_script add column environment {text} not null default 'production';
create table worker_environment (
    account {text} not null, environment {text} not null, number {int} not null unique, created_at {int} not null,
    primary key (account, environment)
){strict};
";

pub(crate) fn author(row: &Row) -> Result<Author, DbError> {
    Ok(Author { source: row.get("author_source")?, id: row.get("author_id")?, email: row.get("author_email")? })
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|e| DbError::Corrupt(format!("a value does not serialise: {e}")))
}
