//! The log's tables.

use purser_authority::{Event, Outcome};
use purser_db::{DbError, Engine, Migrations, Statement, Tx, values};
use purser_values::id::EventId;
use purser_values::{Env, Timestamp};

use crate::chain::{self, Head};
use crate::entry::{self, chain_hash};

/// `audit_event` holds the entries; `audit_reference` finds them by the ids they speak of.
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
    ],
};

/// Adds events to the log, in order, in the caller's write.
///
/// # Errors
/// When the store fails or an event does not serialise.
pub fn append(tx: &mut Tx<'_>, env: &Env, events: &[Event]) -> Result<(), DbError> {
    // On SQLite one thread writes, so the chain can grow here and now; elsewhere the sequencer numbers the entries.
    let mut head = match tx.engine() {
        Engine::Sqlite if !events.is_empty() => Some(chain::head(tx)?),
        _ => None,
    };
    let now = env.now().as_micros();
    let (mut entries, mut mentions) = (Vec::with_capacity(events.len()), Vec::new());
    for (at, event) in (now..).zip(events) {
        // A microsecond apart, so that the sequencer keeps the order of one write.
        let (id, at) = (EventId::mint(env), Timestamp::from_micros(at));
        let body = entry::text(&id, at, event).map_err(|e| DbError::Other(e.to_string()))?;
        let next = head.map(|head| Head { seq: head.seq + 1, hash: chain_hash(&head.hash, head.seq + 1, &body) });
        let (seq, hash, previous) = (next.map(|n| n.seq), next.map(|n| n.hash), head.map(|h| h.hash));
        let outcome = outcome_name(&event.outcome);
        mentions.extend(references(event).into_iter().map(|reference| (reference, id.clone())));
        entries.push(values![id, at, event.organisation, event.verb, outcome, event.subject, body, seq, previous, hash]);
        head = next;
    }
    // In the order of their keys: rows that follow each other go to the same page.
    mentions.sort_unstable();
    let insert = "insert into audit_event (id, at, organisation, verb, outcome, subject, body, seq, previous, hash)
                  {values:text,int,text,text,text,text,text,int,text,text}";
    let mention = "insert into audit_reference (reference, event) {values:text,text} on conflict do nothing";
    let mentions = mentions.into_iter().map(|(reference, id)| values![reference, id]).collect();
    tx.execute_all(&[Statement::rows(insert, entries), Statement::rows(mention, mentions)]).map(drop)
}

pub(crate) const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Intended => "intended",
        Outcome::Done => "done",
        Outcome::Refused(_) => "refused",
        Outcome::Failed(_) => "failed",
    }
}

/// The ids an entry can be found by: its subject, its related ids and those of its caller.
pub(crate) fn references(event: &Event) -> Vec<String> {
    let mut all = vec![event.subject.clone()];
    all.extend(event.related.iter().cloned());
    all.extend(event.caller.agent().map(ToString::to_string));
    all.extend(event.caller.person().map(ToString::to_string));
    if let purser_authority::Caller::Agent { grant, .. } = &event.caller {
        all.push(grant.to_string());
    }
    // What a helper did is found by the agents and grants that it acted through, too.
    all.extend(event.caller.chain().iter().flat_map(|link| [link.agent.to_string(), link.grant.to_string()]));
    all.retain(|reference| !reference.is_empty());
    all.sort_unstable();
    all.dedup();
    all
}
