//! Reading the log, always within one organisation.

use purser_authority::Caller;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, OrganisationId, PersonId};

use crate::entry::Entry;

/// Most entries in one answer.
const PAGE: i64 = 500;

/// Entries of an organisation, newest first, before the number `before` (or from the end).
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId, before: Option<i64>, limit: i64) -> Result<Vec<(i64, Entry)>, DbError> {
    let sql = "select seq, body from audit_event where organisation = $1 and seq is not null and seq < $2 order by seq desc limit $3";
    let rows = tx.query(sql, params![organisation, before.unwrap_or(i64::MAX), limit.clamp(1, PAGE)])?;
    rows.iter().map(|row| Ok((row.get("seq")?, row.json("body")?))).collect()
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
    let sql = "select seq, body from audit_event where organisation = $1 and seq is not null and seq > $2 and (verb = $3 or $3 = '')
               order by seq limit $4";
    let rows = tx.query(sql, params![organisation, after, verb.unwrap_or_default(), limit.clamp(1, PAGE)])?;
    rows.iter().map(|row| Ok((row.get("seq")?, row.json("body")?))).collect()
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
    let sql = "select e.seq as seq, e.body as body from audit_event e join audit_reference r on r.event = e.id
               where r.reference = $1 and e.organisation = $2 and e.seq is not null and e.seq < $3 order by e.seq desc limit $4";
    let rows = tx.query(sql, params![agent, organisation, before.unwrap_or(i64::MAX), limit.clamp(1, PAGE)])?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut entry: Entry = row.json("body")?;
        match &entry.event.caller {
            Caller::Agent { agent: other, chain, .. } if other != agent && !chain.iter().any(|link| link.agent == *agent) => continue,
            Caller::Person { .. } => entry.event.data = serde_json::Value::Null,
            _ => {}
        }
        entries.push((row.get("seq")?, entry));
    }
    Ok(entries)
}

/// Entries of an organisation that speak of `reference`, oldest first.
///
/// # Errors
/// When the store fails.
pub fn about(tx: &mut Tx<'_>, organisation: &OrganisationId, reference: &str) -> Result<Vec<Entry>, DbError> {
    let sql = "select e.body as body from audit_event e join audit_reference r on r.event = e.id
               where r.reference = $1 and e.organisation = $2 order by e.at, e.id limit $3";
    tx.query(sql, params![reference, organisation, PAGE])?.iter().map(|row: &Row| row.json("body")).collect()
}

/// Verbs by which a person decides nothing.
const COMINGS_AND_GOINGS: [&str; 4] = ["sign_in", "session_end", "session_switch", "token_issue"];

/// What a person decided in an organisation, newest first: what they granted, accepted, approved and changed themselves.
///
/// # Errors
/// When the store fails.
pub fn decided_by(tx: &mut Tx<'_>, organisation: &OrganisationId, person: &PersonId) -> Result<Vec<Entry>, DbError> {
    let sql = "select e.body as body from audit_event e join audit_reference r on r.event = e.id
               where r.reference = $1 and e.organisation = $2 and e.outcome = 'done' order by e.at desc, e.id desc limit $3";
    let rows = tx.query(sql, params![person, organisation, PAGE])?;
    let mut entries = rows.iter().map(|row: &Row| row.json::<Entry>("body")).collect::<Result<Vec<_>, DbError>>()?;
    entries.retain(|entry| {
        matches!(&entry.event.caller, Caller::Person { person: by, .. } if by == person)
            && !COMINGS_AND_GOINGS.contains(&entry.event.verb.as_str())
    });
    Ok(entries)
}
