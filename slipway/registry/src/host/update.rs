//! `host:update`, renaming included: names that are delegated to the host follow.

use purser_db::{Tx, params};
use serde_json::json;

use super::{CLIENT_STATUSES, addresses, find, fit, named};
use crate::code::Code;
use crate::command::{Call, done, only, statuses};
use crate::domain;
use crate::limits::ADDRESSES;
use crate::reply::{Outcome, refused};
use crate::xml::Element;

pub(crate) fn update(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "add", "rem", "chg"])?;
    let mut host = named(tx, call)?;
    let old = host.name.clone();
    if host.client != call.client {
        return Err(refused(Code::Authorisation, "the host is another registrar's"));
    }
    let (add, rem, chg) = (call.object.child("add"), call.object.child("rem"), call.object.child("chg"));
    if add.or(rem).or(chg).is_none() {
        return Err(refused(Code::Missing, "there is nothing to change"));
    }
    for part in add.into_iter().chain(rem) {
        only(part, &["addr", "status"])?;
    }
    let removed = statuses(rem, &CLIENT_STATUSES)?;
    let locked = host.statuses.iter().any(|it| it.ends_with("UpdateProhibited"));
    if locked && !(add.is_none() && chg.is_none() && removed.iter().any(|it| it == "clientUpdateProhibited")) {
        return Err(refused(Code::Status, "the host is `clientUpdateProhibited`"));
    }
    if let Some(new) = chg.and_then(|it| it.child("name")).map(Element::token) {
        let new = fit(tx, call, &new)?;
        if find(tx, &new)?.is_some() {
            return Err(refused(Code::Exists, ""));
        }
        host.name = new;
    }
    let gone = addresses(call, &old, rem)?;
    host.addresses.retain(|it| !gone.contains(it));
    for address in addresses(call, &host.name, add)? {
        if !host.addresses.contains(&address) {
            host.addresses.push(address);
        }
    }
    if host.addresses.len() > ADDRESSES {
        return Err(refused(Code::Policy, format!("at most {ADDRESSES} addresses")));
    }
    if !host.addresses.is_empty() && !call.rules.keeps(&host.name) {
        return Err(refused(Code::Policy, "a host outside of our zones has no addresses here"));
    }
    host.statuses.retain(|it| !removed.contains(it));
    for status in statuses(add, &CLIENT_STATUSES)? {
        if !host.statuses.contains(&status) {
            host.statuses.push(status);
        }
    }
    tx.execute(
        "update epp_host set name = $2, addresses = $3, statuses = $4, updated_by = $5, updated_at = $6 where name = $1",
        params![old, host.name, json!(host.addresses), json!(host.statuses), call.client, call.now],
    )?;
    if host.name != old {
        follow(tx, call, &old, &host.name)?;
    }
    Ok(done())
}

/// Names keep their delegation to a host whose name changed. Those of other registrars forbid the change (RFC 5732 section 3.2.5).
fn follow(tx: &mut Tx<'_>, call: &Call<'_>, old: &str, new: &str) -> Outcome<()> {
    let rows = tx.query("select domain from epp_link where kind = 'host' and target = $1", params![old])?;
    for row in rows {
        let name: String = row.get("domain")?;
        let Some(mut domain) = domain::find(tx, &name)? else { continue };
        if domain.client != call.client {
            return Err(refused(Code::Association, "names of other registrars are delegated to the host"));
        }
        for server in domain.name_servers.iter_mut().filter(|it| it.as_str() == old) {
            new.clone_into(server);
        }
        domain::save(tx, &domain)?;
    }
    Ok(())
}
