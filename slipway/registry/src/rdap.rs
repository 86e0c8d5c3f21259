//! What RDAP tells of the registry's objects (RFC 9083), without the surface that serves it.
//!
//! Nothing of a person is ever told: a registrant is shown with its role and empty, and the answer says what was left out (RFC 9537).
//! Contacts cannot be asked for by their handles.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use serde_json::{Value, json};

use crate::domain::{self, Domain, Phase};
use crate::host;

/// Where a registry's RDAP is reached; ends in `/`.
pub struct Base<'a>(pub &'a str);

/// What every answer conforms to.
const CONFORMANCE: [&str; 2] = ["rdap_level_0", "redacted"];

/// A registered name.
///
/// # Errors
/// When the store fails.
pub fn domain(tx: &mut Tx<'_>, base: &Base<'_>, name: &str, now: Timestamp) -> Result<Option<Value>, DbError> {
    let Some(held) = domain::find(tx, name)?.filter(|held| !is_over(held, now)) else { return Ok(None) };
    let mut events = vec![event("registration", held.created_at), event("expiration", held.expires_at)];
    events.extend(held.updated_at.map(|at| event("last changed", at)));
    events.extend(held.transferred_at.map(|at| event("transfer", at)));
    events.push(event("last update of RDAP database", now));
    let servers: Vec<Value> = held
        .name_servers
        .iter()
        .map(|server| json!({"objectClassName": "nameserver", "ldhName": server, "links": [base.link("nameserver", server)]}))
        .collect();
    let mut secure = json!({"delegationSigned": !held.ds.is_empty()});
    if !held.ds.is_empty() {
        let ds = held
            .ds
            .iter()
            .map(|ds| json!({"keyTag": ds.key_tag, "algorithm": ds.algorithm, "digestType": ds.digest_type, "digest": ds.digest}));
        secure["dsData"] = ds.collect();
    }
    let registrant = json!({
        "objectClassName": "entity", "roles": ["registrant"],
        "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", ""]]],
    });
    Ok(Some(json!({
        "rdapConformance": CONFORMANCE,
        "objectClassName": "domain",
        "handle": held.roid,
        "ldhName": held.name,
        "status": statuses(&held, now),
        "events": events,
        "nameservers": servers,
        "secureDNS": secure,
        "entities": [base.registrar(&held.client), registrant],
        "redacted": [
            redacted("Registrant Name", "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='fn')][3]", "emptyValue", "postPath"),
            redacted("Registry Registrant ID", "$.entities[?(@.roles[0]=='registrant')].handle", "removal", "prePath"),
            redacted("Registrant Email", "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='email')]", "removal", "prePath"),
            redacted("Registrant Phone", "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[1].type=='voice')]", "removal", "prePath"),
            redacted("Registrant Address", "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='adr')]", "removal", "prePath"),
        ],
        "links": [base.link("domain", &held.name)],
        "notices": base.notices(),
    })))
}

/// A host.
///
/// # Errors
/// When the store fails.
pub fn nameserver(tx: &mut Tx<'_>, base: &Base<'_>, name: &str, now: Timestamp) -> Result<Option<Value>, DbError> {
    let Some(held) = host::find(tx, name)? else { return Ok(None) };
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in &held.addresses {
        if address.is_ipv4() { v4.push(address.to_string()) } else { v6.push(address.to_string()) }
    }
    let statuses: Vec<String> = host::shown(tx, &held)?.iter().map(|it| said(it)).collect();
    let mut found = json!({
        "rdapConformance": CONFORMANCE,
        "objectClassName": "nameserver",
        "handle": held.roid,
        "ldhName": held.name,
        "status": statuses,
        "events": [event("registration", held.created_at), event("last update of RDAP database", now)],
        "entities": [base.registrar(&held.client)],
        "links": [base.link("nameserver", &held.name)],
        "notices": base.notices(),
    });
    if !(v4.is_empty() && v6.is_empty()) {
        let mut addresses = serde_json::Map::new();
        for (kind, all) in [("v4", v4), ("v6", v6)] {
            if !all.is_empty() {
                addresses.insert(kind.to_owned(), json!(all));
            }
        }
        found["ipAddresses"] = Value::Object(addresses);
    }
    Ok(Some(found))
}

/// A registrar. Contacts are persons, and are not told of.
///
/// # Errors
/// When the store fails.
pub fn entity(tx: &mut Tx<'_>, base: &Base<'_>, handle: &str, now: Timestamp) -> Result<Option<Value>, DbError> {
    let Some(row) = tx.query_opt("select id, created_at from epp_client where id = $1", params![handle])? else { return Ok(None) };
    let (id, since): (String, Timestamp) = (row.get("id")?, row.get("created_at")?);
    let mut found = base.registrar(&id);
    found["rdapConformance"] = json!(CONFORMANCE);
    found["events"] = json!([event("registration", since), event("last update of RDAP database", now)]);
    found["notices"] = base.notices();
    Ok(Some(found))
}

/// What this service is.
#[must_use]
pub fn help(base: &Base<'_>) -> Value {
    json!({"rdapConformance": CONFORMANCE, "notices": base.notices()})
}

/// An answer that there is none.
#[must_use]
pub fn error(status: u16, title: &str, description: &str) -> Value {
    json!({"rdapConformance": CONFORMANCE, "errorCode": status, "title": title, "description": [description]})
}

impl Base<'_> {
    fn link(&self, kind: &str, name: &str) -> Value {
        let here = format!("{}{kind}/{name}", self.0);
        json!({"value": here, "rel": "self", "href": here, "type": "application/rdap+json"})
    }

    fn registrar(&self, id: &str) -> Value {
        json!({
            "objectClassName": "entity", "handle": id, "roles": ["registrar"],
            "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", id]]],
            "links": [self.link("entity", id)],
        })
    }

    fn notices(&self) -> Value {
        let here = format!("{}help", self.0);
        json!([{
            "title": "What is shown",
            "description": ["Names, their delegation and their registrars are public. Who holds a name is not."],
            "links": [{"value": here, "rel": "alternate", "href": here, "type": "application/rdap+json"}],
        }])
    }
}

/// A name whose last day is over is gone, though nothing has swept it away yet.
fn is_over(held: &Domain, now: Timestamp) -> bool {
    held.phase(now) == Phase::PendingDelete && held.due() <= now
}

fn event(action: &str, at: Timestamp) -> Value {
    json!({"eventAction": action, "eventDate": at.to_string()})
}

fn redacted(name: &str, path: &str, method: &str, which: &str) -> Value {
    json!({"name": {"description": name}, which: path, "pathLang": "jsonpath", "method": method, "reason": {"description": "Server policy"}})
}

/// The statuses and grace periods in RDAP's words (RFC 8056).
fn statuses(held: &Domain, now: Timestamp) -> Vec<String> {
    let mut all: Vec<String> = held.shown(now).iter().map(|it| said(it)).collect();
    all.extend(held.graces(now).into_iter().map(said).filter(|it| !all.contains(it)).collect::<Vec<_>>());
    all
}

/// `clientTransferProhibited` is said `client transfer prohibited`.
fn said(status: &str) -> String {
    match status {
        "ok" => return "active".to_owned(),
        "linked" => return "associated".to_owned(),
        _ => {}
    }
    let mut text = String::new();
    for c in status.chars() {
        if c.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
