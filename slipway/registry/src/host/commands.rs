//! `host:check`, `host:info`, `host:create`, `host:delete`.

use std::net::IpAddr;

use purser_db::{Tx, params};
use purser_values::name::HostName;

use super::{Host, addresses, find, fit, insert, named, shown};
use crate::code::Code;
use crate::command::{Call, done, roid};
use crate::names::HOST;
use crate::reply::{Answer, Outcome, refused};
use crate::store::is_linked;
use crate::xml::Writer;

pub(crate) fn check(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    let mut w = Writer::default();
    w.open("host:chkData", &[("xmlns:host", HOST)]);
    for asked in call.asked("name")? {
        let reason = match asked.parse::<HostName>() {
            Err(_) => Some("no host name"),
            Ok(name) => find(tx, name.as_str())?.map(|_| "in use"),
        };
        w.open("host:cd", &[]).leaf_with("host:name", &[("avail", if reason.is_none() { "1" } else { "0" })], &asked);
        if let Some(reason) = reason {
            w.leaf("host:reason", reason);
        }
        w.close("host:cd");
    }
    w.close("host:chkData");
    Ok(Answer::with(w))
}

pub(crate) fn info(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name"])?;
    let host = named(tx, call)?;
    let mut w = Writer::default();
    w.open("host:infData", &[("xmlns:host", HOST)]).leaf("host:name", &host.name).leaf("host:roid", &host.roid);
    for status in shown(tx, &host)? {
        w.empty("host:status", &[("s", &status)]);
    }
    for address in &host.addresses {
        w.leaf_with("host:addr", &[("ip", if matches!(address, IpAddr::V4(_)) { "v4" } else { "v6" })], address);
    }
    w.leaf("host:clID", &host.client).leaf("host:crID", &host.created_by).leaf("host:crDate", host.created_at);
    if let (Some(by), Some(at)) = (&host.updated_by, host.updated_at) {
        w.leaf("host:upID", by).leaf("host:upDate", at);
    }
    w.close("host:infData");
    Ok(Answer::with(w))
}

pub(crate) fn create(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "addr"])?;
    let name = call.required("name")?;
    let name = fit(tx, call, &name)?;
    if find(tx, &name)?.is_some() {
        return Err(refused(Code::Exists, ""));
    }
    let host = Host {
        roid: roid(call.env, 'H'),
        client: call.client.to_owned(),
        addresses: addresses(call, &name, Some(call.object))?,
        statuses: Vec::new(),
        created_by: call.client.to_owned(),
        created_at: call.now,
        updated_by: None,
        updated_at: None,
        name,
    };
    insert(tx, &host)?;
    let mut w = Writer::default();
    w.open("host:creData", &[("xmlns:host", HOST)])
        .leaf("host:name", &host.name)
        .leaf("host:crDate", host.created_at)
        .close("host:creData");
    Ok(Answer::with(w))
}

pub(crate) fn delete(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name"])?;
    let host = named(tx, call)?;
    if host.client != call.client {
        return Err(refused(Code::Authorisation, "the host is another registrar's"));
    }
    if let Some(status) = host.statuses.iter().find(|it| it.ends_with("DeleteProhibited")) {
        return Err(refused(Code::Status, format!("the host is `{status}`")));
    }
    if is_linked(tx, "host", &host.name)? {
        return Err(refused(Code::Association, "names are delegated to the host"));
    }
    tx.execute("delete from epp_host where name = $1", params![host.name])?;
    Ok(done())
}
