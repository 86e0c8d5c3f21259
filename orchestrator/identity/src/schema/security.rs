//! Passkeys, the codes of an app, recovery, and links that undo a change.

pub const SECURITY: &str = "
create table passkey (
    id {text} primary key, person {text} not null, credential {text} not null unique, public_key {blob} not null, name {text} not null,
    sign_count {int} not null, backup_eligible {int} not null, backed_up {int} not null, created_at {int} not null, last_used_at {int}
){strict};
create index passkey_person on passkey (person, created_at);
create table passkey_challenge (digest {text} primary key, expires_at {int} not null){strict};
create table totp (
    person {text} primary key, sealed {blob} not null, created_at {int} not null, confirmed_at {int}, last_step {int} not null
){strict};
create table totp_try (id {text} primary key, person {text} not null, at {int} not null){strict};
create index totp_try_person on totp_try (person, at);
create table recovery_code (
    person {text} not null, code_mac {text} not null, used_at {int}, primary key (person, code_mac)
){strict};
create table recovery (
    person {text} primary key, started_at {int} not null, ready_at {int} not null, ended_at {int}, ended_how {text}
){strict};
create table security_link (
    token_hash {text} primary key, person {text} not null, kind {text} not null, data {text} not null, created_at {int} not null,
    expires_at {int} not null, used_at {int}
){strict}";
