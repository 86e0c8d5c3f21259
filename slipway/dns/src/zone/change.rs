//! `zone_change`: what clients of the API do to records, one or many in one write: all or none.
//!
//! INVARIANT (change-once): a request that arrives twice changes once. A record that the same token wrote a moment ago is answered again,
//! and so is its removal; the same request later, or by somebody else, is refused as what it is.

use purser_db::Tx;
use purser_values::Env;
use purser_values::Timestamp;
use purser_values::name::{DomainName, HostName};

use crate::record::{Data, Owner};
use crate::store;
use crate::zone::entry::{Entry, Read, Written};
use crate::zone::record_put::go_together;
use crate::zone::{MAX_RECORDS, Zone, ZoneError};

/// How long a request may arrive again: longer than clients try.
const REPEAT_S: i64 = 120;
/// Changes in one request.
pub const MAX_CHANGES: usize = 20_000;

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    Create(Written),
    /// What is absent stays.
    Edit(String, Written),
    /// What is absent goes.
    Replace(String, Written),
    Delete(String),
}

/// Who changes, and what is ours.
#[derive(Clone, Debug)]
pub struct Author<'a> {
    /// The id of the token.
    pub token: &'a str,
    /// The common domain of Workers, whose names an apex may stand for.
    pub common: Option<&'a HostName>,
}

/// Makes the changes in their order, and answers each with the record that it is about.
///
/// # Errors
/// The first that cannot be made; then none is.
pub fn zone_change(tx: &mut Tx<'_>, env: &Env, zone: &Zone, author: &Author<'_>, changes: Vec<Change>) -> Result<Vec<Entry>, ZoneError> {
    if changes.len() > MAX_CHANGES {
        return Err(ZoneError::Words(format!("one request makes at most {MAX_CHANGES} changes")));
    }
    let now = env.now();
    let mut all = Vec::with_capacity(changes.len());
    for change in changes {
        all.push(match change {
            Change::Create(written) => create(tx, env, zone, author, written.read(&zone.name)?)?,
            Change::Edit(id, written) => {
                let before = existing(tx, zone, &id)?;
                let read = written.over(before.written()).read(&zone.name)?;
                replace(tx, zone, author, before, read, now)?
            }
            Change::Replace(id, written) => {
                let before = existing(tx, zone, &id)?;
                replace(tx, zone, author, before, written.read(&zone.name)?, now)?
            }
            Change::Delete(id) => delete(tx, zone, author, &id, now)?,
        });
    }
    if store::count_records(tx, &zone.name)? > MAX_RECORDS {
        return Err(ZoneError::Full);
    }
    store::touch(tx, zone, now)?;
    Ok(all)
}

fn create(tx: &mut Tx<'_>, env: &Env, zone: &Zone, author: &Author<'_>, read: Read) -> Result<Entry, ZoneError> {
    let now = env.now();
    let beside = store::entries_at(tx, zone, &read.record.owner)?;
    if let Some(same) = beside.iter().find(|e| e.record.data == read.record.data) {
        let again =
            same.author == author.token && same.says(&read) && same.created_at >= earliest(now) && same.created_at == same.modified_at;
        return if again { Ok(same.clone()) } else { Err(ZoneError::Identical) };
    }
    let entry = Entry {
        id: hex::encode(env.bytes::<16>()),
        record: read.record,
        automatic: read.automatic,
        comment: read.comment,
        tags: read.tags,
        author: author.token.to_owned(),
        created_at: now,
        modified_at: now,
    };
    put(tx, zone, author, &entry, &beside)?;
    Ok(entry)
}

fn replace(tx: &mut Tx<'_>, zone: &Zone, author: &Author<'_>, before: Entry, read: Read, now: Timestamp) -> Result<Entry, ZoneError> {
    if before.says(&read) {
        return Ok(before);
    }
    store::delete_record(tx, &zone.name, &before.record.owner, &before.record.data)?;
    let beside = store::entries_at(tx, zone, &read.record.owner)?;
    if beside.iter().any(|e| e.record.data == read.record.data) {
        return Err(ZoneError::Identical);
    }
    let entry =
        Entry { record: read.record, automatic: read.automatic, comment: read.comment, tags: read.tags, modified_at: now, ..before };
    put(tx, zone, author, &entry, &beside)?;
    Ok(entry)
}

fn delete(tx: &mut Tx<'_>, zone: &Zone, author: &Author<'_>, id: &str, now: Timestamp) -> Result<Entry, ZoneError> {
    match store::entry(tx, zone, id)? {
        Some(Entry { record, .. }) if record.data == Data::Edge => Err(ZoneError::Managed(record.owner)),
        Some(entry) => {
            store::delete_record(tx, &zone.name, &entry.record.owner, &entry.record.data)?;
            store::forget(tx, &zone.name, id, author.token, now, earliest(now))?;
            Ok(entry)
        }
        None if store::forgotten(tx, &zone.name, id, author.token, earliest(now))? => Ok(Entry {
            id: id.to_owned(),
            record: crate::zone::record_put::edge_record(&zone.name),
            automatic: true,
            comment: None,
            tags: Vec::new(),
            author: author.token.to_owned(),
            created_at: now,
            modified_at: now,
        }),
        None => Err(ZoneError::NoRecord),
    }
}

fn put(tx: &mut Tx<'_>, zone: &Zone, author: &Author<'_>, entry: &Entry, beside: &[Entry]) -> Result<(), ZoneError> {
    let (owner, data) = (&entry.record.owner, &entry.record.data);
    if owner.as_str() == zone.name.as_str() && !at_apex(data, &zone.name, author.common) {
        return Err(ZoneError::Apex);
    }
    if let Some(other) = beside.iter().find(|other| !beside_each_other(owner, &zone.name, &other.record.data, data)) {
        return Err(if other.record.data == Data::Edge { ZoneError::Managed(owner.clone()) } else { ZoneError::Conflict(owner.clone()) });
    }
    Ok(store::insert_entry(tx, &zone.name, entry)?)
}

/// The zone's own name is no delegation, and an alias there is turned into addresses, which we can do for names that are ours.
fn at_apex(data: &Data, zone: &DomainName, common: Option<&HostName>) -> bool {
    match data {
        Data::Ns { .. } => false,
        Data::Cname { target } => {
            let ours = |suffix: &str| target.as_str().strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
            ours(zone.as_str()) || common.is_some_and(|common| ours(common.as_str()))
        }
        _ => true,
    }
}

/// At the apex an alias stands beside the records that are no addresses, because nobody sees that it is one.
fn beside_each_other(owner: &Owner, zone: &DomainName, a: &Data, b: &Data) -> bool {
    let alias = |data: &Data| matches!(data, Data::Cname { .. });
    if owner.as_str() == zone.as_str() && (alias(a) || alias(b)) {
        let address =
            |data: &Data| matches!(data, Data::Cname { .. } | Data::A { .. } | Data::Aaaa { .. } | Data::Edge | Data::Proxied { .. });
        return !(address(a) && address(b));
    }
    go_together(a, b)
}

fn existing(tx: &mut Tx<'_>, zone: &Zone, id: &str) -> Result<Entry, ZoneError> {
    let entry = store::entry(tx, zone, id)?.ok_or(ZoneError::NoRecord)?;
    if entry.record.data == Data::Edge { Err(ZoneError::Managed(entry.record.owner)) } else { Ok(entry) }
}

fn earliest(now: Timestamp) -> Timestamp {
    Timestamp::from_secs(now.as_secs() - REPEAT_S)
}
