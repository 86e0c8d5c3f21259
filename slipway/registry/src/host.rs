//! A name server as an object of its own (RFC 5732).

pub mod commands;
pub mod update;

use std::net::IpAddr;

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::name::HostName;
use serde_json::json;

use crate::code::Code;
use crate::command::Call;
use crate::domain;
use crate::limits::ADDRESSES;
use crate::reply::{Outcome, refused};
use crate::store::is_linked;
use crate::xml::Element;

pub(crate) const CLIENT_STATUSES: [&str; 2] = ["clientDeleteProhibited", "clientUpdateProhibited"];

#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub name: String,
    pub roid: String,
    pub client: String,
    pub addresses: Vec<IpAddr>,
    pub statuses: Vec<String>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub updated_by: Option<String>,
    pub updated_at: Option<Timestamp>,
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Host>, DbError> {
    tx.query_opt("select * from epp_host where name = $1", params![name])?.map(|row| read(&row)).transpose()
}

/// The host that a command names, which must exist.
pub(crate) fn named(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome<Host> {
    let name = call.required("name")?.to_ascii_lowercase();
    find(tx, &name)?.ok_or_else(|| refused(Code::NotFound, ""))
}

/// Refuses a name server that does not exist.
pub(crate) fn usable(tx: &mut Tx<'_>, name: &str) -> Outcome<()> {
    match find(tx, name)? {
        Some(_) => Ok(()),
        None => Err(refused(Code::NotFound, format!("there is no host `{name}`"))),
    }
}

/// A name that a host can have. One below a zone of ours needs its domain, and that must be the caller's.
pub(crate) fn fit(tx: &mut Tx<'_>, call: &Call<'_>, text: &str) -> Outcome<String> {
    let name: HostName = text.parse().map_err(|_| refused(Code::Value, "it is no host name"))?;
    let name = name.as_str().to_owned();
    if !name.contains('.') {
        return Err(refused(Code::Policy, "a host lies below a domain"));
    }
    if !call.rules.keeps(&name) {
        return Ok(name);
    }
    match superordinate(tx, call, &name)? {
        Some(domain) if domain.client == call.client => Ok(name),
        Some(_) => Err(refused(Code::Authorisation, "the host lies below a name of another registrar")),
        None => Err(refused(Code::NotFound, "the name that the host lies below is not registered")),
    }
}

/// The registered name that a host of ours lies below.
pub(crate) fn superordinate(tx: &mut Tx<'_>, call: &Call<'_>, host: &str) -> Outcome<Option<domain::Domain>> {
    let zone = call.rules.zones.iter().find(|zone| host.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.')));
    let Some(zone) = zone else { return Ok(None) };
    let below = host.strip_suffix(zone.as_str()).unwrap_or_default().trim_end_matches('.');
    let label = below.rsplit('.').next().unwrap_or_default();
    Ok(domain::find(tx, &format!("{label}.{zone}"))?)
}

/// The addresses that an element lists. They are glue, so only hosts of our zones have any.
pub(crate) fn addresses(call: &Call<'_>, name: &str, element: Option<&Element>) -> Outcome<Vec<IpAddr>> {
    let mut all = Vec::new();
    for addr in element.into_iter().flat_map(|it| it.all("addr")) {
        let bad = || refused(Code::Value, "`addr` is an address of the version that `ip` names");
        let ip: IpAddr = addr.token().parse().map_err(|_| bad())?;
        match (addr.attribute("ip").unwrap_or("v4"), ip) {
            ("v4", IpAddr::V4(_)) | ("v6", IpAddr::V6(_)) => all.push(ip),
            _ => return Err(bad()),
        }
    }
    if all.len() > ADDRESSES {
        return Err(refused(Code::Policy, format!("at most {ADDRESSES} addresses")));
    }
    if !all.is_empty() && !call.rules.keeps(name) {
        return Err(refused(Code::Policy, "a host outside of our zones has no addresses here"));
    }
    Ok(all)
}

pub(crate) fn insert(tx: &mut Tx<'_>, h: &Host) -> Result<(), DbError> {
    tx.execute(
        "insert into epp_host (name, roid, client, addresses, statuses, created_by, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
        params![h.name, h.roid, h.client, json!(h.addresses), json!(h.statuses), h.created_by, h.created_at],
    )
    .map(drop)
}

/// Every status that is shown.
pub(crate) fn shown(tx: &mut Tx<'_>, host: &Host) -> Result<Vec<String>, DbError> {
    let mut all = host.statuses.clone();
    if is_linked(tx, "host", &host.name)? {
        all.push("linked".to_owned());
    }
    if host.statuses.is_empty() {
        all.insert(0, "ok".to_owned());
    }
    Ok(all)
}

fn read(row: &Row) -> Result<Host, DbError> {
    Ok(Host {
        name: row.get("name")?,
        roid: row.get("roid")?,
        client: row.get("client")?,
        addresses: row.json("addresses")?,
        statuses: row.json("statuses")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        updated_by: row.get("updated_by")?,
        updated_at: row.get("updated_at")?,
    })
}
