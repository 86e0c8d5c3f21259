//! `/zones/{zone}/dns_records`: the records of an account's zones, one by one, many at once, and as a zone file.

mod data;
mod filter;
mod shape;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use purser_db::{DbError, Tx};
use purser_guard::velocity::Act;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_dns::zone::change::{Author, Change, zone_change};
use slipway_dns::zone::entry::Entry;
use slipway_dns::zone::get::{entry_get, entry_list, zone_by_id};
use slipway_dns::zone::{Zone, ZoneError, file};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::upload::Form;
use crate::abuse::acts;
use crate::abuse::hosts::{self, Host};
use crate::cloud::Shared;
use crate::domain::follow;
use filter::Filter;
use shape::{NewRecord, shown};

/// Entries on a page of records when the client does not say.
const PER_PAGE: usize = 100;
/// The largest body with records: a zone file, or as many changes.
pub const BODY_BYTES: usize = file::FILE_BYTES + (1 << 20);

/// The body of `POST …/batch`. Carried out in this order, whatever the order of the members.
#[derive(Deserialize)]
pub struct Batch {
    #[serde(default)]
    deletes: Vec<Named>,
    #[serde(default)]
    patches: Vec<Identified>,
    #[serde(default)]
    puts: Vec<Identified>,
    #[serde(default)]
    posts: Vec<NewRecord>,
}

#[derive(Deserialize)]
pub struct Named {
    id: String,
}

#[derive(Deserialize)]
pub struct Identified {
    id: String,
    #[serde(flatten)]
    record: NewRecord,
}

pub async fn list(State(cloud): State<Shared>, Path(zone): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let (zone, entries) = read(&cloud, &caller, &zone).await?;
    let filter = Filter::of(text.as_deref())?;
    let mut entries: Vec<&Entry> = entries.iter().filter(|entry| filter.takes(entry)).collect();
    filter.sort(&mut entries);
    let all: Vec<Value> = entries.into_iter().map(|entry| shown(&zone, entry)).collect();
    let mut wanted = Page::of(text.as_deref());
    if super::query(text.as_deref(), "per_page").is_none() {
        wanted.per_page = PER_PAGE;
    }
    Ok(page(&all, wanted))
}

pub async fn get(State(cloud): State<Shared>, Path((zone, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    let of = zone.clone();
    let entry = cloud.db.read(move |tx| entry_get(tx, &of, &id)).await.map_err(refuse)?;
    Ok(ok(&shown(&zone, &entry)))
}

pub async fn create(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller, Json(body): Json<NewRecord>) -> Answer {
    one(&cloud, &caller, &zone, Change::Create(body.written()?)).await
}

pub async fn edit(
    State(cloud): State<Shared>,
    Path((zone, id)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<NewRecord>,
) -> Answer {
    one(&cloud, &caller, &zone, Change::Edit(id, body.written()?)).await
}

pub async fn replace(
    State(cloud): State<Shared>,
    Path((zone, id)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<NewRecord>,
) -> Answer {
    one(&cloud, &caller, &zone, Change::Replace(id, body.written()?)).await
}

pub async fn delete(State(cloud): State<Shared>, Path((zone, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let (_, all) = change(&cloud, &caller, &zone, vec![Change::Delete(id)]).await?;
    Ok(ok(&json!({"id": all.first().map(|entry| entry.id.as_str())})))
}

/// All of it or nothing, in one write.
pub async fn batch(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller, Json(body): Json<Batch>) -> Answer {
    let counts = [body.deletes.len(), body.patches.len(), body.puts.len(), body.posts.len()];
    let mut changes: Vec<Change> = body.deletes.into_iter().map(|named| Change::Delete(named.id)).collect();
    for patch in body.patches {
        changes.push(Change::Edit(patch.id, patch.record.written()?));
    }
    for put in body.puts {
        changes.push(Change::Replace(put.id, put.record.written()?));
    }
    for post in body.posts {
        changes.push(Change::Create(post.written()?));
    }
    let (zone, all) = change(&cloud, &caller, &zone, changes).await?;
    let mut rest = all.iter().map(|entry| shown(&zone, entry));
    let mut result = json!({});
    for (what, count) in ["deletes", "patches", "puts", "posts"].into_iter().zip(counts) {
        result[what] = rest.by_ref().take(count).collect();
    }
    Ok(ok(&result))
}

/// The zone as a zone file of BIND.
pub async fn export(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller) -> Result<Response, Failure> {
    let (zone, entries) = read(&cloud, &caller, &zone).await?;
    let text = file::write(&zone.name, &entries);
    let named = format!("attachment; filename=\"{}.txt\"", zone.name);
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, named)];
    Ok((StatusCode::OK, headers, text).into_response())
}

/// Adds the records of a zone file of BIND. What the zone holds already counts as parsed and not as added.
pub async fn import(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller, form: Form) -> Answer {
    let found = zone_of(&cloud, &caller, &zone).await?;
    let mut parts = form.admit(&cloud, &caller.account.id).await?;
    let (mut text, mut proxied) = (None, false);
    while let Some(part) = parts.next().await? {
        match part.name.as_str() {
            "file" => text = Some(String::from_utf8(part.bytes.to_vec()).map_err(|_| Failure::invalid("the zone file is not UTF-8"))?),
            "proxied" => proxied = part.bytes.as_ref() == b"true",
            _ => {}
        }
    }
    let text = text.ok_or_else(|| Failure::invalid("the form has no part `file`"))?;
    let mut records = file::read(&text, &found.name).map_err(Failure::invalid)?;
    let total = records.len();
    for record in &mut records {
        let proxiable = matches!(record.kind.as_deref(), Some("A" | "AAAA" | "CNAME"));
        record.proxied = Some(proxied && proxiable);
    }
    let (_, before) = read(&cloud, &caller, &zone).await?;
    let there: std::collections::HashSet<String> = before.iter().map(|entry| shape::identity(&entry.written(), &found.name)).collect();
    records.retain(|record| !there.contains(&shape::identity(record, &found.name)));
    let added = records.len();
    change(&cloud, &caller, &zone, records.into_iter().map(Change::Create).collect()).await?;
    Ok(ok(&json!({"recs_added": added, "total_records_parsed": total})))
}

async fn one(cloud: &Shared, caller: &Caller, zone: &str, what: Change) -> Answer {
    let (zone, all) = change(cloud, caller, zone, vec![what]).await?;
    Ok(ok(&all.first().map_or(Value::Null, |entry| shown(&zone, entry))))
}

/// Changes the zone in one write while the caller stands, and lets the name server see it.
async fn change(cloud: &Shared, caller: &Caller, zone: &str, changes: Vec<Change>) -> Result<(Zone, Vec<Entry>), Failure> {
    cloud.throttle.zone_change(&caller.token, cloud.env.now())?;
    let account = caller.within(cloud, caller.account.hex.as_str(), Permission::Domains).await?.clone();
    let (env, id, standing, token) = (cloud.env.clone(), zone.to_owned(), caller.standing(), caller.token.id.clone());
    let common = cloud.nameserver.common_domain().cloned();
    let write = move |tx: &mut Tx<'_>| -> Result<_, Stop> {
        standing(tx).map_err(Failure::from)?;
        let zone = zone_by_id(tx, &account, &id).map_err(|e| missing(e, &id))?;
        let author = Author { token: &token, common: common.as_ref() };
        let all = zone_change(tx, &env, &zone, &author, changes.clone()).map_err(refuse)?;
        let mut new = Vec::new();
        let kept = changes.iter().zip(&all).filter(|(change, entry)| entry.proxied() && !matches!(change, Change::Delete(_)));
        for (_, entry) in kept {
            let name = entry.record.owner.to_string();
            if !acts::is_done(tx, Act::Host, &account, &name)? {
                new.push(Host::in_zone(&name, zone.name.as_str()));
            }
        }
        if new.is_empty() { Ok((zone, all)) } else { Err(Stop::Hosts(new)) }
    };
    let written = match cloud.db.write(write.clone()).await {
        // what leads to our edge is a host name that is given to somebody: first that, then the same change again
        Err(Stop::Hosts(new)) => {
            hosts::give(cloud, caller, new).await?;
            cloud.db.write(write).await
        }
        other => other,
    };
    let (zone, all) = written.map_err(|stop| match stop {
        Stop::Failure(failure) => failure,
        Stop::Hosts(_) => Failure::invalid("the records were changed by somebody else meanwhile; try again"),
    })?;
    follow(cloud, &zone.name).await;
    Ok((zone, all))
}

/// Why a change was not written.
enum Stop {
    /// It names these hosts, which nobody gave to the account yet.
    Hosts(Vec<Host>),
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}
impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Failure(e.into())
    }
}

async fn read(cloud: &Shared, caller: &Caller, zone: &str) -> Result<(Zone, Vec<Entry>), Failure> {
    let zone = zone_of(cloud, caller, zone).await?;
    let of = zone.clone();
    let entries = cloud.db.read(move |tx| entry_list(tx, &of)).await?;
    Ok((zone, entries))
}

/// The caller's zone of this id.
///
/// # Errors
/// When the caller's account has no such zone, or the token may not look.
pub async fn zone_of(cloud: &Shared, caller: &Caller, zone: &str) -> Result<Zone, Failure> {
    caller.allowed(Permission::Domains)?;
    let (account, id) = (caller.account.id.clone(), zone.to_owned());
    cloud.db.read(move |tx| zone_by_id(tx, &account, &id)).await.map_err(|e| missing(e, zone))
}

fn missing(e: ZoneError, id: &str) -> Failure {
    if matches!(e, ZoneError::NotFound) { Failure::no_route(&format!("/zones/{id}")) } else { refuse(e) }
}

/// The codes that clients of the Cloudflare API know.
fn refuse(e: ZoneError) -> Failure {
    let (status, code) = match &e {
        ZoneError::Store(e) => return Failure::internal(e),
        ZoneError::NotFound => (StatusCode::NOT_FOUND, 7_003),
        ZoneError::NoRecord => (StatusCode::NOT_FOUND, 81_044),
        ZoneError::Conflict(_) | ZoneError::Managed(_) | ZoneError::Taken => (StatusCode::BAD_REQUEST, 81_053),
        ZoneError::Identical => (StatusCode::BAD_REQUEST, 81_058),
        ZoneError::Full => (StatusCode::BAD_REQUEST, 81_045),
        ZoneError::NotProxiable(_) => (StatusCode::BAD_REQUEST, 9_041),
        ZoneError::Record(record) => (StatusCode::BAD_REQUEST, shape::code_of(record)),
        ZoneError::Outside(_) | ZoneError::Apex | ZoneError::Words(_) => (StatusCode::BAD_REQUEST, 1_004),
    };
    Failure::new(status, code, e.to_string())
}
