//! The log's tables.

use purser_authority::Event;
use purser_db::{DbError, Engine, Migrations, Statement, Tx, values};
use purser_values::Env;

use crate::chain;
use crate::run;

/// A row of `audit_event` holds a run of entries; its number is that of the last of them, and none on PostgreSQL until they are
/// chained. `audit_reference` finds runs by the keys of the ids that their entries speak of.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "audit",
    steps: &[
        "create table audit_event (
        id {text} primary key, seq {int} unique, at {int} not null, organisation {text}, verb {text} not null,
        outcome {text} not null, subject {text} not null, body {text} not null, previous {text}, hash {text}
    ){strict};
    create index audit_event_organisation on audit_event (organisation, seq);
    create table audit_reference (
        event {text} not null references audit_event (id), reference {text} not null, primary key (event, reference)
    ){strict};
    create index audit_reference_reference on audit_reference (reference)",
        "create table audit_mention (reference {text} not null, event {text} not null, primary key (reference, event)){clustered};
        insert into audit_mention (reference, event) select reference, event from audit_reference;
        drop table audit_reference;
        alter table audit_mention rename to audit_reference",
        RUNS,
    ],
};

/// What was an entry becomes a run of one. The text and the hash of each stay as they are, so what was verified before still is.
const RUNS: &str = "create table audit_run (
        id {text} primary key, seq {int} unique, entries {int} not null, at {int} not null, organisation {text},
        hashes {text}, body {text} not null
    ){strict};
    insert into audit_run (id, seq, entries, at, organisation, hashes, body)
        select id, seq, 1, at, organisation, hash, body from audit_event;
    create table audit_mention (reference {text} not null, event {text} not null, primary key (reference, event)){clustered};
    insert into audit_mention (reference, event)
        select distinct case when length(reference) = 30 and substr(reference, 4, 1) = '_' then substr(reference, 1, 13) else reference end, event
        from audit_reference;
    drop table audit_reference;
    drop table audit_event;
    alter table audit_run rename to audit_event;
    create index audit_event_organisation on audit_event (organisation, seq);
    alter table audit_mention rename to audit_reference";

/// Adds events to the log, in the caller's write. Those of one organisation keep their order.
///
/// # Errors
/// When the store fails or an event does not serialise.
pub fn append(tx: &mut Tx<'_>, env: &Env, events: &[Event]) -> Result<(), DbError> {
    // On SQLite one thread writes, so the chain can grow here and now; elsewhere the sequencer numbers the entries.
    let mut head = match tx.engine() {
        Engine::Sqlite if !events.is_empty() => Some(chain::head(tx)?),
        _ => None,
    };
    let (mut rows, mut mentions) = (Vec::new(), Vec::new());
    for one in run::runs(env, events)? {
        let hashes = head.as_mut().map(|head| run::chain(head, &one.body));
        let seq = head.map(|head| head.seq);
        mentions.extend(one.keys.iter().map(|key| values![*key, one.id]));
        rows.push(values![one.id, seq, one.entries, one.at, one.organisation, hashes, one.body]);
    }
    let insert = "insert into audit_event (id, seq, entries, at, organisation, hashes, body) {values:text,int,int,int,text,text,text}";
    let mention = "insert into audit_reference (reference, event) {values:text,text} on conflict do nothing";
    tx.execute_all(&[Statement::rows(insert, rows), Statement::rows(mention, mentions)]).map(drop)
}
