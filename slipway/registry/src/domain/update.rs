//! `domain:update`, with DS records (RFC 5910) and the restoration of a deleted name (RFC 3915).

use purser_db::Tx;

use super::create::{contacts, hosts};
use super::{CLIENT_STATUSES, Domain, named, save};
use crate::code::Code;
use crate::command::{Call, auth_info, done, only, statuses};
use crate::extension::{rgp, secdns};
use crate::limits::{CONTACTS, NAME_SERVERS};
use crate::names::{RGP, SECDNS};
use crate::reply::{Answer, Outcome, refused};
use crate::xml::Element;
use crate::{contact, host};

pub(crate) fn update(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "add", "rem", "chg"])?;
    let mut domain = named(tx, call)?;
    domain.belongs_to(call)?;
    if let Some(asked) = call.extended(RGP, "update") {
        let code = rgp::restore(asked, &mut domain, call.now)?;
        domain.updated_by = Some(call.client.to_owned());
        domain.updated_at = Some(call.now);
        save(tx, &domain)?;
        return Ok(Answer { extension: rgp::updated(&domain.graces(call.now)), ..Answer::new(code) });
    }
    let secure = call.extended(SECDNS, "update");
    let (add, rem, chg) = (call.object.child("add"), call.object.child("rem"), call.object.child("chg"));
    if add.or(rem).or(chg).is_none() && secure.is_none() {
        return Err(refused(Code::Missing, "there is nothing to change"));
    }
    for part in add.into_iter().chain(rem) {
        only(part, &["ns", "contact", "status"])?;
    }
    // Whoever forbade updates must be able to allow them again, alone.
    let unlocks = |it: &Element| it.children.iter().all(|child| child.attribute("s") == Some("clientUpdateProhibited"));
    if !(add.is_none() && chg.is_none() && secure.is_none() && rem.is_some_and(unlocks)) {
        domain.allows("UpdateProhibited", call.now)?;
    }
    drop_listed(&mut domain, rem)?;
    add_listed(tx, call, &mut domain, add)?;
    if let Some(chg) = chg {
        only(chg, &["registrant", "authInfo"])?;
        if let Some(registrant) = chg.child("registrant").map(Element::token) {
            if !registrant.is_empty() {
                contact::usable(tx, call, &registrant)?;
            }
            domain.registrant = Some(registrant).filter(|id| !id.is_empty());
        }
        if let Some(auth) = auth_info(chg)? {
            domain.auth = Some(call.pepper.of("domain", &domain.name, &auth));
        }
    }
    if let Some(secure) = secure {
        secdns::change(secure, &mut domain.ds)?;
    }
    domain.updated_by = Some(call.client.to_owned());
    domain.updated_at = Some(call.now);
    save(tx, &domain)?;
    Ok(done())
}

fn drop_listed(domain: &mut Domain, rem: Option<&Element>) -> Outcome<()> {
    let gone = hosts(rem.and_then(|it| it.child("ns")))?;
    let (left, statuses) = (contacts(rem)?, statuses(rem, &CLIENT_STATUSES)?);
    let absent = |what: &str| refused(Code::Policy, format!("`{what}` cannot be removed, because it is not there"));
    if let Some(host) = gone.iter().find(|host| !domain.name_servers.contains(host)) {
        return Err(absent(host));
    }
    if let Some(contact) = left.iter().find(|contact| !domain.contacts.contains(contact)) {
        return Err(absent(&contact.id));
    }
    if let Some(status) = statuses.iter().find(|status| !domain.statuses.contains(status)) {
        return Err(absent(status));
    }
    domain.name_servers.retain(|host| !gone.contains(host));
    domain.contacts.retain(|contact| !left.contains(contact));
    domain.statuses.retain(|status| !statuses.contains(status));
    Ok(())
}

fn add_listed(tx: &mut Tx<'_>, call: &Call<'_>, domain: &mut Domain, add: Option<&Element>) -> Outcome<()> {
    for server in hosts(add.and_then(|it| it.child("ns")))? {
        host::usable(tx, &server)?;
        if domain.name_servers.contains(&server) {
            return Err(refused(Code::Policy, format!("`{server}` is there already")));
        }
        domain.name_servers.push(server);
    }
    for one in contacts(add)? {
        contact::usable(tx, call, &one.id)?;
        if !domain.contacts.contains(&one) {
            domain.contacts.push(one);
        }
    }
    for status in statuses(add, &CLIENT_STATUSES)? {
        if !domain.statuses.contains(&status) {
            domain.statuses.push(status);
        }
    }
    if domain.name_servers.len() > NAME_SERVERS || domain.contacts.len() > CONTACTS {
        return Err(refused(Code::Policy, format!("at most {NAME_SERVERS} name servers and {CONTACTS} contacts")));
    }
    Ok(())
}
