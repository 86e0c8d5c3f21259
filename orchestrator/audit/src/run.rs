//! Runs: the entries of one write that belong to one organisation lie in one row, a line each.
//!
//! A batch of purchases is one write, so what is recorded of all of them is one row with one set of keys instead of a row and
//! six keys for each. A write that records one thing makes a run of one.

use std::collections::BTreeSet;

use purser_authority::{Caller, Event};
use purser_db::{DbError, Row};
use purser_values::id::{AgentId, EventId, OrganisationId, PersonId};
use purser_values::{Env, Sha256Digest, Timestamp};

use crate::chain::Head;
use crate::entry::{self, Entry, chain_hash};

/// Most entries of a run.
pub(crate) const MOST: i64 = 128;
/// A run that is as long as this takes no further entry: who looks for one entry reads all that lie with it.
const BYTES: usize = 64 * 1024;
/// Letters of one hash.
pub(crate) const HASH: usize = 64;

/// A run that is being written.
pub(crate) struct New<'e> {
    /// The id of its first entry.
    pub id: EventId,
    /// The moment of its first entry.
    pub at: Timestamp,
    pub organisation: Option<&'e OrganisationId>,
    pub entries: i64,
    pub body: String,
    /// What it is found by.
    pub keys: BTreeSet<&'e str>,
}

/// The events as runs. Those of one organisation keep their order.
pub(crate) fn runs<'e>(env: &Env, events: &'e [Event]) -> Result<Vec<New<'e>>, DbError> {
    let now = env.now().as_micros();
    // A microsecond apart, so that the order of one write can be told from the times alone.
    let mut events: Vec<(i64, &Event)> = (now..).zip(events).collect();
    events.sort_by_key(|(_, event)| event.organisation.as_ref());
    let mut runs: Vec<New<'e>> = Vec::new();
    for (at, event) in events {
        let (id, at) = (EventId::mint(env), Timestamp::from_micros(at));
        let text = entry::text(&id, at, event).map_err(|e| DbError::Other(e.to_string()))?;
        match runs.last_mut() {
            Some(run) if run.takes(event) => run.add(event, &text),
            _ => runs.push(New::of(id, at, event, text)),
        }
    }
    Ok(runs)
}

impl<'e> New<'e> {
    fn of(id: EventId, at: Timestamp, event: &'e Event, body: String) -> Self {
        let keys = references(event).map(key).collect();
        Self { id, at, organisation: event.organisation.as_ref(), entries: 1, body, keys }
    }

    fn takes(&self, event: &Event) -> bool {
        self.organisation == event.organisation.as_ref() && self.entries < MOST && self.body.len() < BYTES
    }

    fn add(&mut self, event: &'e Event, text: &str) {
        self.body.push('\n');
        self.body.push_str(text);
        self.entries += 1;
        self.keys.extend(references(event).map(key));
    }
}

/// The texts of a run's entries: JSON on one line has no line's end in it.
pub(crate) fn texts(body: &str) -> impl Iterator<Item = &str> {
    body.split('\n')
}

/// Chains the entries of a run to the head, which moves to the last of them, and answers their hashes as the row keeps them.
pub(crate) fn chain(head: &mut Head, body: &str) -> String {
    let mut hashes = String::new();
    for text in texts(body) {
        let seq = head.seq + 1;
        *head = Head { seq, hash: chain_hash(&head.hash, seq, text) };
        hashes.push_str(&head.hash.to_string());
    }
    hashes
}

/// The hash of the entry at a place of the run, counted from nought.
pub(crate) fn hash_at(hashes: &str, place: usize) -> Option<Sha256Digest> {
    hashes.get(place * HASH..(place + 1) * HASH)?.parse().ok()
}

/// The hash of the last entry of a row.
pub(crate) fn last_hash(row: &Row) -> Result<Sha256Digest, DbError> {
    let hashes: String = row.get("hashes")?;
    let last = hashes.len().checked_sub(HASH).and_then(|from| hashes.get(from..)?.parse().ok());
    last.ok_or_else(|| DbError::Corrupt("column `hashes` holds no hashes".to_owned()))
}

/// The number of the first entry of a row; what waits for its numbers has none that mean anything.
pub(crate) fn first_number(row: &Row) -> Result<i64, DbError> {
    Ok(row.get::<Option<i64>>("seq")?.unwrap_or_default() - row.get::<i64>("entries")? + 1)
}

/// The entries of a row with their numbers, oldest first.
pub(crate) fn entries(row: &Row) -> Result<Vec<(i64, Entry)>, DbError> {
    let body: String = row.get("body")?;
    let read = |text| serde_json::from_str(text).map_err(|e| DbError::Corrupt(format!("an entry of the audit log does not read: {e}")));
    (first_number(row)?..).zip(texts(&body)).map(|(seq, text)| Ok((seq, read(text)?))).collect()
}

/// The ids an entry can be found by: its subject, its related ids and those of its caller.
pub(crate) fn references(event: &Event) -> impl Iterator<Item = &str> {
    let caller = &event.caller;
    let grant = if let Caller::Agent { grant, .. } = caller { Some(grant.as_str()) } else { None };
    let ids = [caller.agent().map(AgentId::as_str), caller.person().map(PersonId::as_str), grant];
    // What a helper did is found by the agents and grants that it acted through, too.
    let chain = caller.chain().iter().flat_map(|link| [link.agent.as_str(), link.grant.as_str()]);
    let related = event.related.iter().map(String::as_str);
    std::iter::once(event.subject.as_str()).chain(related).chain(ids.into_iter().flatten()).chain(chain).filter(|id| !id.is_empty())
}

/// Letters of an id of ours, of its kind with the line under it, and of the two with its first nine, which say when it was made to 32 milliseconds.
const ID: usize = 30;
const KIND: usize = 3;
const BEGINNING: usize = 13;

/// What a run is found by for a reference: an id of ours by its beginning, so that the ids of one kind which a batch makes are one
/// key, anything else by itself. Who looks compares the whole reference with what the entries say.
pub(crate) fn key(reference: &str) -> &str {
    let is_ours = reference.len() >= ID && reference.chars().count() == ID && reference.chars().nth(KIND) == Some('_');
    match reference.char_indices().nth(BEGINNING) {
        Some((end, _)) if is_ours => &reference[..end],
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use purser_values::id::HoldId;

    use super::*;

    #[test]
    fn ids_that_are_made_together_are_one_key_and_other_references_are_their_own() {
        let (env, clock) = Env::test(Timestamp::from_secs(1_800_000_000), 7);
        let (first, second) = (HoldId::mint(&env), HoldId::mint(&env));
        assert_ne!(first, second);
        assert_eq!(key(first.as_str()), key(second.as_str()));
        clock.advance_micros(32_000);
        assert_ne!(key(first.as_str()), key(HoldId::mint(&env).as_str()));
        for other in ["", "shop.test", "https://example.test/a/terms-1", "äöü_ist-genau-dreißig-Zeichen!", &"x".repeat(64)] {
            let (expected, is_like_an_id) = (key(other), other.starts_with("äöü_"));
            assert_eq!(expected.chars().count(), if is_like_an_id { 13 } else { other.chars().count() }, "{other}");
        }
    }

    #[test]
    fn a_write_of_two_organisations_is_two_runs_and_each_keeps_its_order() {
        let (env, _) = Env::test(Timestamp::from_secs(1_800_000_000), 7);
        let organisations = [OrganisationId::mint(&env), OrganisationId::mint(&env)];
        let event = |n: usize| Event::done("resource_add", &Caller::System, format!("res_{n}")).in_organisation(&organisations[n % 2]);
        let events: Vec<Event> = (0..300).map(event).collect();
        let runs = runs(&env, &events).unwrap();
        assert_eq!(runs.iter().map(|run| run.entries).collect::<Vec<_>>(), [128, 22, 128, 22]);
        for run in runs {
            let said: Vec<Entry> = texts(&run.body).map(|text| serde_json::from_str(text).unwrap()).collect();
            assert!(
                said.is_sorted_by(|a, b| a.at < b.at) && said.iter().all(|entry| entry.event.organisation.as_ref() == run.organisation)
            );
            assert_eq!((said.len(), said[0].id.as_str(), said[0].at), (usize::try_from(run.entries).unwrap(), run.id.as_str(), run.at));
        }
    }
}
