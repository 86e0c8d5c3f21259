//! Reading the log, always within one organisation.
//!
//! Rows are found by an index and read a page at a time; which of a row's entries are meant is said by the entries themselves.

use purser_authority::{Caller, Outcome};
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, OrganisationId, PersonId};

use crate::entry::Entry;
use crate::run;

/// Most entries in one answer.
const PAGE: i64 = 500;
/// Runs that are read at once.
const RUNS: i64 = 50;

/// Entries of an organisation, newest first, before the number `before` (or from the end).
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId, before: Option<i64>, limit: i64) -> Result<Vec<(i64, Entry)>, DbError> {
    let before = before.unwrap_or(i64::MAX);
    // A run is numbered by its last entry, and may begin before.
    let sql = "select seq, entries, body from audit_event where organisation = $1 and seq < $3 and seq - entries + 1 < $2
               order by seq desc limit $4";
    let page = |last: Option<&Row>| {
        let before = last.map_or(Ok(before), run::first_number)?;
        tx.query(sql, params![organisation, before, before.saturating_add(run::MOST), RUNS])
    };
    collect(Order::NewestFirst, limit, page, |seq, _| seq < before)
}

/// Entries of an organisation, oldest first, after the number `after`; of one verb, if one is named.
///
/// # Errors
/// When the store fails.
pub fn list_after(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    after: i64,
    verb: Option<&str>,
    limit: i64,
) -> Result<Vec<(i64, Entry)>, DbError> {
    let sql = "select seq, entries, body from audit_event where organisation = $1 and seq is not null and seq > $2 order by seq limit $3";
    let page = |last: Option<&Row>| {
        let after = last.map_or(Ok(after), |row| row.get("seq"))?;
        tx.query(sql, params![organisation, after, RUNS])
    };
    collect(Order::OldestFirst, limit, page, |seq, entry| seq > after && verb.is_none_or(|verb| entry.event.verb == verb))
}

/// Entries that an agent may read, newest first, before the number `before` (or from the end): of those that speak of it, what it
/// did itself, what providers and the orchestrator did, and that (but not with which facts) a person did something. What another
/// agent did stays hidden, even if it names this one.
///
/// # Errors
/// When the store fails.
pub fn list_for_agent(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    agent: &AgentId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, Entry)>, DbError> {
    let before = before.unwrap_or(i64::MAX);
    let sql = "select e.seq as seq, e.entries as entries, e.body as body from audit_event e join audit_reference r on r.event = e.id
               where r.reference = $1 and e.organisation = $2 and e.seq < $4 and e.seq - e.entries + 1 < $3 order by e.seq desc limit $5";
    let key = run::key(agent.as_str());
    let page = |last: Option<&Row>| {
        let before = last.map_or(Ok(before), run::first_number)?;
        tx.query(sql, params![key, organisation, before, before.saturating_add(run::MOST), RUNS])
    };
    let found = collect(Order::NewestFirst, limit, page, |seq, entry| seq < before && speaks_of(entry, agent.as_str()))?;
    let mut entries = Vec::with_capacity(found.len());
    for (seq, mut entry) in found {
        match &entry.event.caller {
            Caller::Agent { agent: other, chain, .. } if other != agent && !chain.iter().any(|link| link.agent == *agent) => continue,
            Caller::Person { .. } => entry.event.data = serde_json::Value::Null,
            _ => {}
        }
        entries.push((seq, entry));
    }
    Ok(entries)
}

/// Entries of an organisation that speak of `reference`, oldest first.
///
/// # Errors
/// When the store fails.
pub fn about(tx: &mut Tx<'_>, organisation: &OrganisationId, reference: &str) -> Result<Vec<Entry>, DbError> {
    let sql = "select e.id as id, e.at as at, e.seq as seq, e.entries as entries, e.body as body
               from audit_event e join audit_reference r on r.event = e.id
               where r.reference = $1 and e.organisation = $2 and (e.at, e.id) > ($3, $4) order by e.at, e.id limit $5";
    let key = run::key(reference);
    let page = |last: Option<&Row>| {
        let (at, id) = last.map_or(Ok((i64::MIN, String::new())), place)?;
        tx.query(sql, params![key, organisation, at, id, RUNS])
    };
    let found = collect(Order::OldestFirst, PAGE, page, |_, entry| speaks_of(entry, reference))?;
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}

/// Verbs by which a person decides nothing.
const COMINGS_AND_GOINGS: [&str; 4] = ["sign_in", "session_end", "session_switch", "token_issue"];

/// What a person decided in an organisation, newest first: what they granted, accepted, approved and changed themselves.
///
/// # Errors
/// When the store fails.
pub fn decided_by(tx: &mut Tx<'_>, organisation: &OrganisationId, person: &PersonId) -> Result<Vec<Entry>, DbError> {
    let sql = "select e.id as id, e.at as at, e.seq as seq, e.entries as entries, e.body as body
               from audit_event e join audit_reference r on r.event = e.id
               where r.reference = $1 and e.organisation = $2 and (e.at, e.id) < ($3, $4) order by e.at desc, e.id desc limit $5";
    let key = run::key(person.as_str());
    let page = |last: Option<&Row>| {
        let (at, id) = last.map_or(Ok((i64::MAX, String::new())), place)?;
        tx.query(sql, params![key, organisation, at, id, RUNS])
    };
    let found =
        collect(Order::NewestFirst, PAGE, page, |_, entry| entry.event.outcome == Outcome::Done && speaks_of(entry, person.as_str()))?;
    let mut entries: Vec<Entry> = found.into_iter().map(|(_, entry)| entry).collect();
    entries.retain(|entry| {
        matches!(&entry.event.caller, Caller::Person { person: by, .. } if by == person)
            && !COMINGS_AND_GOINGS.contains(&entry.event.verb.as_str())
    });
    Ok(entries)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

/// The first entries that are wanted, of the rows that `page` gives: it is asked for those behind the last row of the page before, in
/// the order that is named.
fn collect(
    order: Order,
    limit: i64,
    mut page: impl FnMut(Option<&Row>) -> Result<Vec<Row>, DbError>,
    wanted: impl Fn(i64, &Entry) -> bool,
) -> Result<Vec<(i64, Entry)>, DbError> {
    let limit = usize::try_from(limit.clamp(1, PAGE)).unwrap_or(1);
    let (mut found, mut last) = (Vec::new(), None);
    loop {
        let rows: Vec<Row> = page(last.as_ref())?;
        for row in &rows {
            let mut entries = run::entries(row)?;
            if order == Order::NewestFirst {
                entries.reverse();
            }
            found.extend(entries.into_iter().filter(|(seq, entry)| wanted(*seq, entry)).take(limit - found.len()));
            if found.len() == limit {
                return Ok(found);
            }
        }
        if i64::try_from(rows.len()).is_ok_and(|read| read < RUNS) {
            return Ok(found);
        }
        last = rows.into_iter().last();
    }
}

/// Where a row is in the order of time.
fn place(row: &Row) -> Result<(i64, String), DbError> {
    Ok((row.get("at")?, row.get("id")?))
}

fn speaks_of(entry: &Entry, reference: &str) -> bool {
    run::references(&entry.event).any(|one| one == reference)
}
