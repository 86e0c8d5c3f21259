//! The tables of this crate.
//!
//! Names of keys and objects are bytes and not text: both engines then sort them alike, as the contract says, by their UTF-8.

use purser_db::Migrations;

pub const MIGRATIONS: Migrations = Migrations { domain: "stores", steps: &[OBJECTS, KV, R2, D1, QUEUES, BOUNDED, TRANSFERS] };

/// What lies behind the trait for objects. `state` is `writing`, `kept` or `doomed`; a row is there before the bytes are, and goes after them.
/// `store_gone` is what was deleted and is not yet cleared away.
const OBJECTS: &str = "
create table store_object (
    key {text} primary key, account {text} not null, bytes {int} not null, state {text} not null, at {int} not null
){strict};
create index store_object_by_state on store_object (state, at);
create index store_object_by_account on store_object (account, state);
create table store_gone (kind {text} not null, id {text} not null, at {int} not null, primary key (kind, id)){strict};
";

const KV: &str = "
create table kv_namespace (
    id {text} primary key, account {text} not null, title {text} not null, bytes {int} not null, created_at {int} not null,
    unique (account, title)
){strict};
create table kv_entry (
    namespace {text} not null, name {blob} not null, value {blob}, object {text}, length {int} not null, bytes {int} not null,
    metadata {text}, expires_at {int}, primary key (namespace, name)
){strict};
create index kv_entry_by_expiry on kv_entry (expires_at) where expires_at is not null;
";

/// `parts` are the objects behind the trait, with their sizes, in order.
const R2: &str = "
create table r2_bucket (
    id {text} primary key, account {text} not null, name {text} not null, location {text}, storage_class {text} not null,
    bytes {int} not null, objects {int} not null, created_at {int} not null, unique (account, name)
){strict};
create table r2_object (
    bucket {text} not null, name {blob} not null, version {text} not null, etag {text} not null, size {int} not null, uploaded_at {int} not null,
    http {text} not null, custom {text} not null, checksums {text} not null, storage_class {text} not null, parts {text} not null,
    bytes {int} not null, primary key (bucket, name)
){strict};
create table r2_upload (
    id {text} primary key, bucket {text} not null, name {blob} not null, http {text} not null, custom {text} not null,
    storage_class {text} not null, created_at {int} not null
){strict};
create index r2_upload_by_bucket on r2_upload (bucket);
create index r2_upload_by_age on r2_upload (created_at);
create table r2_part (
    upload {text} not null, number {int} not null, object {text} not null, size {int} not null, etag {text} not null,
    primary key (upload, number)
){strict};
";

/// `past` are the bytes of what a database was. A transfer is a file of SQL on its way in or out, under an address that is its own key.
const D1: &str = "
create table d1_database (
    id {text} primary key, account {text} not null, name {text} not null, bytes {int} not null, past {int} not null default 0,
    tables {int} not null, created_at {int} not null, unique (account, name)
){strict};
create table d1_transfer (
    token {text} primary key, database {text} not null, account {text} not null, kind {text} not null, name {text} not null,
    etag {text}, object {text}, length {int}, outcome {text}, expires_at {int} not null
){strict};
create index d1_transfer_by_expiry on d1_transfer (expires_at);
create index d1_transfer_by_database on d1_transfer (database);
";

/// A message is due at `visible_at`; whoever works on it wrote the lease and moved that time. A queue counts its own messages.
const QUEUES: &str = "
create table queue (
    id {text} primary key, account {text} not null, name {text} not null, delay_s {int} not null, retention_s {int} not null, paused {int} not null,
    messages {int} not null, bytes {int} not null, created_at {int} not null, modified_at {int} not null, unique (account, name)
){strict};
create table queue_consumer (
    id {text} primary key, queue {text} not null unique, script {text}, dead_letter {text}, batch_size {int} not null, max_retries {int} not null,
    max_wait_ms {int} not null, max_concurrency {int}, retry_delay_s {int} not null, visibility_ms {int} not null, created_at {int} not null
){strict};
create table queue_message (
    id {text} primary key, queue {text} not null, content {text} not null, body {blob} not null, bytes {int} not null, sent_at {int} not null,
    visible_at {int} not null, expires_at {int} not null, attempts {int} not null, lease {text}
){strict};
create index queue_message_due on queue_message (queue, visible_at, id);
create index queue_message_by_expiry on queue_message (expires_at);
";

/// What makes it cheap to see which queues have something to deliver, and what an account's transfers keep.
const BOUNDED: &str = "
create index queue_with_messages on queue (id) where messages > 0 and paused = 0;
create index d1_transfer_by_account on d1_transfer (account);
";

/// `tried` is what an import will have done when its transaction is committed; `holder` whose right an address hangs on.
const TRANSFERS: &str = "
alter table d1_transfer add column tried {text};
alter table d1_transfer add column holder {text};
";
