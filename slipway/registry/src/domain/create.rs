//! `domain:create`.

use purser_db::Tx;
use purser_values::Timestamp;

use super::check::why;
use super::{Contact, Domain, find, insert};
use crate::code::Code;
use crate::command::{Call, auth_info, roid};
use crate::extension::{fee, secdns};
use crate::limits::{CONTACTS, NAME_SERVERS, YEARS};
use crate::names::{DOMAIN, FEE, SECDNS};
use crate::reply::{Answer, Outcome, refused};
use crate::rules::Unfit;
use crate::xml::{Element, Writer};
use crate::{contact, host};

const KINDS: [&str; 3] = ["admin", "billing", "tech"];

pub(crate) fn create(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "period", "ns", "registrant", "contact", "authInfo"])?;
    let asked = call.required("name")?;
    let (name, label) = call.rules.label(&asked).map_err(|unfit| {
        let code = if unfit == Unfit::Form { Code::Value } else { Code::Policy };
        refused(code, why(unfit))
    })?;
    let name = name.as_str().to_owned();
    let years = years(call.object)?;
    if find(tx, &name)?.is_some() || call.rules.is_sniped(&label) {
        return Err(refused(Code::Exists, ""));
    }
    let auth = auth_info(call.object)?.ok_or_else(|| refused(Code::Missing, "`authInfo` is missing"))?;
    let price = fee::agreed(call, "create", &label, years)?;
    let registrant = call.object.child("registrant").map(Element::token);
    let contacts = contacts(Some(call.object))?;
    for id in registrant.iter().chain(contacts.iter().map(|it| &it.id)) {
        contact::usable(tx, call, id)?;
    }
    let name_servers = hosts(call.object.child("ns"))?;
    for server in &name_servers {
        host::usable(tx, server)?;
    }
    let domain = Domain {
        roid: roid(call.env, 'D'),
        client: call.client.to_owned(),
        registrant,
        contacts,
        name_servers,
        statuses: Vec::new(),
        ds: call.extended(SECDNS, "create").map(secdns::all).transpose()?.unwrap_or_default(),
        auth: Some(call.pepper.of("domain", &name, &auth)),
        created_by: call.client.to_owned(),
        created_at: call.now,
        updated_by: None,
        updated_at: None,
        renewed_at: None,
        transferred_at: None,
        expires_at: later(call.now, years),
        deleted_at: None,
        restored_at: None,
        transfer: None,
        name,
    };
    insert(tx, &domain)?;
    let mut w = Writer::default();
    w.open("domain:creData", &[("xmlns:domain", DOMAIN)])
        .leaf("domain:name", &domain.name)
        .leaf("domain:crDate", domain.created_at)
        .leaf("domain:exDate", domain.expires_at)
        .close("domain:creData");
    let mut answer = Answer::with(w);
    if call.speaks(FEE) {
        answer.extension = fee::charged("creData", price);
    }
    Ok(answer)
}

/// The period in years; one where none is named.
pub(crate) fn years(object: &Element) -> Outcome<u32> {
    let Some(period) = object.child("period") else { return Ok(1) };
    let number: u32 = period.token().parse().map_err(|_| refused(Code::Value, "`period` is a number"))?;
    match period.attribute("unit") {
        Some("y") if (1..=YEARS.unsigned_abs()).contains(&number) => Ok(number),
        Some("y") => Err(refused(Code::Range, format!("a name is registered for 1 to {YEARS} years"))),
        Some("m") => Err(refused(Code::Policy, "names are registered for whole years")),
        _ => Err(refused(Code::Value, "the `unit` of a period is `y`")),
    }
}

/// So many years later.
pub(crate) fn later(from: Timestamp, years: u32) -> Timestamp {
    from.plus_months(i32::try_from(years).unwrap_or(YEARS).saturating_mul(12))
}

/// The contacts that an element lists.
pub(crate) fn contacts(element: Option<&Element>) -> Outcome<Vec<Contact>> {
    let mut all = Vec::new();
    for contact in element.into_iter().flat_map(|it| it.all("contact")) {
        let kind = contact.attribute("type").unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(refused(Code::Value, "the `type` of a contact is `admin`, `billing` or `tech`"));
        }
        all.push(Contact { kind: kind.to_owned(), id: contact.token() });
    }
    if all.len() > CONTACTS {
        return Err(refused(Code::Policy, format!("at most {CONTACTS} contacts")));
    }
    Ok(all)
}

/// The hosts that an `ns` element lists.
pub(crate) fn hosts(element: Option<&Element>) -> Outcome<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for server in element.into_iter().flat_map(|it| it.children.iter()) {
        match server.name.as_str() {
            "hostObj" => {
                let name = server.token().to_ascii_lowercase();
                if !all.contains(&name) {
                    all.push(name);
                }
            }
            "hostAttr" => return Err(refused(Code::Policy, "name servers are host objects here; create them and name them by `hostObj`")),
            _ => return Err(refused(Code::Syntax, "`ns` lists `hostObj`")),
        }
    }
    if all.len() > NAME_SERVERS {
        return Err(refused(Code::Policy, format!("at most {NAME_SERVERS} name servers")));
    }
    Ok(all)
}
