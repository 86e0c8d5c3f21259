//! The registry's tables.

use purser_db::{DbError, Migrations, Tx, params};
use purser_values::{Sha256Digest, Timestamp};

use crate::limits::ANSWER_S;

/// The registry's tables. The first step is of the time when the sandbox's registry was a table beside the registrar's; what it held is
/// taken over, for the registrar that calls itself [`TAKEN_OVER`].
pub const MIGRATIONS: Migrations = Migrations {
    domain: "sandbox_registry",
    steps: &[
        "create table registry_domain (
        name {text} primary key,
        order_id {text} not null unique,
        years {int} not null,
        name_servers {text} not null,
        registered_at {int} not null,
        expires_at {int} not null
    ){strict};",
        TABLES,
    ],
};

/// The registrar that names of the older table belong to.
pub const TAKEN_OVER: &str = "slipway";

/// `due_at` is when the clock next changes a domain ([`crate::lifecycle`]).
const TABLES: &str = "create table epp_client (
        id {text} primary key,
        password {blob} not null,
        certificate {text},
        created_at {int} not null
    ){strict};
    create table epp_domain (
        name {text} primary key,
        roid {text} not null unique,
        client {text} not null,
        registrant {text},
        contacts {text} not null,
        name_servers {text} not null,
        statuses {text} not null,
        ds {text} not null,
        auth {blob},
        created_by {text} not null,
        created_at {int} not null,
        updated_by {text},
        updated_at {int},
        renewed_at {int},
        transferred_at {int},
        expires_at {int} not null,
        deleted_at {int},
        restored_at {int},
        transfer {text},
        due_at {int} not null
    ){strict};
    create index epp_domain_due on epp_domain (due_at);
    create table epp_host (
        name {text} primary key,
        roid {text} not null unique,
        client {text} not null,
        addresses {text} not null,
        statuses {text} not null,
        created_by {text} not null,
        created_at {int} not null,
        updated_by {text},
        updated_at {int}
    ){strict};
    create table epp_contact (
        id {text} primary key,
        roid {text} not null unique,
        client {text} not null,
        body {text} not null,
        statuses {text} not null,
        auth {blob},
        created_by {text} not null,
        created_at {int} not null,
        updated_by {text},
        updated_at {int}
    ){strict};
    create table epp_link (
        domain {text} not null,
        kind {text} not null,
        target {text} not null,
        primary key (domain, kind, target)
    ){strict};
    create index epp_link_target on epp_link (kind, target);
    create table epp_message (
        id {text} primary key,
        client {text} not null,
        created_at {int} not null,
        text {text} not null,
        body {text}
    ){strict};
    create index epp_message_queue on epp_message (client, created_at, id);
    create table epp_answer (
        client {text} not null,
        transaction_id {text} not null,
        command {text} not null,
        answer {text} not null,
        created_at {int} not null,
        primary key (client, transaction_id)
    ){strict};
    insert into epp_domain (name, roid, client, contacts, name_servers, statuses, ds, created_by, created_at, expires_at, due_at)
        select name, order_id || '-SLP', 'slipway', '[]', name_servers, '[]', '[]', 'slipway', registered_at, expires_at, expires_at from registry_domain;
    drop table registry_domain;";

/// The answer to the same command under the same transaction id, if it was given within a day.
pub(crate) fn answered(
    tx: &mut Tx<'_>,
    client: &str,
    transaction: &str,
    command: &Sha256Digest,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let found = tx.query_opt(
        "select answer from epp_answer where client = $1 and transaction_id = $2 and command = $3 and created_at > $4",
        params![client, transaction, command, now.plus_secs(-ANSWER_S)],
    )?;
    found.map(|row| row.get("answer")).transpose()
}

/// Keeps the answer to a command that changed something.
pub(crate) fn answer(
    tx: &mut Tx<'_>,
    client: &str,
    transaction: &str,
    command: &Sha256Digest,
    answer: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "insert into epp_answer (client, transaction_id, command, answer, created_at) values ($1, $2, $3, $4, $5)
         on conflict (client, transaction_id) do update set command = excluded.command, answer = excluded.answer, created_at = excluded.created_at",
        params![client, transaction, command, answer, now],
    )
    .map(drop)
}

/// Forgets answers that are too old to be asked for.
pub(crate) fn forget_answers(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from epp_answer where created_at <= $1", params![now.plus_secs(-ANSWER_S)])
}

/// What a domain refers to, kept apart so that "is it used" is one look.
pub(crate) fn link(tx: &mut Tx<'_>, domain: &str, kind: &'static str, targets: &[String]) -> Result<(), DbError> {
    tx.execute("delete from epp_link where domain = $1 and kind = $2", params![domain, kind])?;
    for target in targets {
        tx.execute(
            "insert into epp_link (domain, kind, target) values ($1, $2, $3) on conflict do nothing",
            params![domain, kind, target],
        )?;
    }
    Ok(())
}

/// Whether any domain refers to it.
pub(crate) fn is_linked(tx: &mut Tx<'_>, kind: &'static str, target: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt("select domain from epp_link where kind = $1 and target = $2 limit 1", params![kind, target])?.is_some())
}

/// Whether any other domain refers to it.
pub(crate) fn is_linked_elsewhere(tx: &mut Tx<'_>, kind: &'static str, target: &str, domain: &str) -> Result<bool, DbError> {
    let other = "select domain from epp_link where kind = $1 and target = $2 and domain <> $3 limit 1";
    Ok(tx.query_opt(other, params![kind, target, domain])?.is_some())
}
