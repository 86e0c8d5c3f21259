//! `contact:check`, `contact:info`, `contact:create`, `contact:delete`.

use purser_db::{Tx, params};

use super::{Body, Contact, ID, apply, find, named, render, save, shown};
use crate::code::Code;
use crate::command::{Call, auth_info, done, roid};
use crate::names::CONTACT;
use crate::reply::{Answer, Outcome, refused};
use crate::store::is_linked;
use crate::xml::Writer;

pub(crate) fn check(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    let mut w = Writer::default();
    w.open("contact:chkData", &[("xmlns:contact", CONTACT)]);
    for asked in call.asked("id")? {
        if !ID.contains(&asked.chars().count()) {
            return Err(refused(Code::Value, "an id has 3 to 16 characters"));
        }
        let reason = find(tx, &asked)?.map(|_| "in use");
        w.open("contact:cd", &[]).leaf_with("contact:id", &[("avail", if reason.is_none() { "1" } else { "0" })], &asked);
        if let Some(reason) = reason {
            w.leaf("contact:reason", reason);
        }
        w.close("contact:cd");
    }
    w.close("contact:chkData");
    Ok(Answer::with(w))
}

pub(crate) fn info(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["id", "authInfo"])?;
    let contact = named(tx, call)?;
    let given = auth_info(call.object)?;
    let proved = given.as_ref().map(|given| contact.auth.as_ref().is_some_and(|kept| call.pepper.is(kept, "contact", &contact.id, given)));
    match proved {
        Some(false) => return Err(refused(Code::AuthInfo, "")),
        None if contact.client != call.client => return Err(refused(Code::Authorisation, "the contact is another registrar's")),
        _ => {}
    }
    let mut w = Writer::default();
    w.open("contact:infData", &[("xmlns:contact", CONTACT)]).leaf("contact:id", &contact.id).leaf("contact:roid", &contact.roid);
    for status in shown(tx, &contact)? {
        w.empty("contact:status", &[("s", &status)]);
    }
    render(&mut w, &contact.body);
    w.leaf("contact:clID", &contact.client).leaf("contact:crID", &contact.created_by).leaf("contact:crDate", contact.created_at);
    if let (Some(by), Some(at)) = (&contact.updated_by, contact.updated_at) {
        w.leaf("contact:upID", by).leaf("contact:upDate", at);
    }
    if let Some(disclose) = &contact.body.disclose {
        w.open("contact:disclose", &[("flag", if disclose.flag { "1" } else { "0" })]);
        for (part, kind) in &disclose.parts {
            let tag = format!("contact:{part}");
            match kind {
                Some(kind) => w.empty(&tag, &[("type", kind)]),
                None => w.empty(&tag, &[]),
            };
        }
        w.close("contact:disclose");
    }
    w.close("contact:infData");
    Ok(Answer::with(w))
}

pub(crate) fn create(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    let id = call.required("id")?;
    if !ID.contains(&id.chars().count()) {
        return Err(refused(Code::Value, "an id has 3 to 16 characters"));
    }
    let mut body = Body::default();
    apply(&mut body, call.object)?;
    if body.postal.is_empty() || body.email.is_empty() {
        return Err(refused(Code::Missing, "a contact has a `postalInfo` and an `email`"));
    }
    let auth = auth_info(call.object)?.ok_or_else(|| refused(Code::Missing, "`authInfo` is missing"))?;
    if find(tx, &id)?.is_some() {
        return Err(refused(Code::Exists, ""));
    }
    let contact = Contact {
        roid: roid(call.env, 'C'),
        client: call.client.to_owned(),
        body,
        statuses: Vec::new(),
        auth: Some(call.pepper.of("contact", &id, &auth)),
        created_by: call.client.to_owned(),
        created_at: call.now,
        updated_by: None,
        updated_at: None,
        id,
    };
    save(tx, &contact)?;
    let mut w = Writer::default();
    w.open("contact:creData", &[("xmlns:contact", CONTACT)])
        .leaf("contact:id", &contact.id)
        .leaf("contact:crDate", contact.created_at)
        .close("contact:creData");
    Ok(Answer::with(w))
}

pub(crate) fn delete(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["id"])?;
    let contact = named(tx, call)?;
    if contact.client != call.client {
        return Err(refused(Code::Authorisation, "the contact is another registrar's"));
    }
    if let Some(status) = contact.statuses.iter().find(|it| it.ends_with("DeleteProhibited")) {
        return Err(refused(Code::Status, format!("the contact is `{status}`")));
    }
    if is_linked(tx, "contact", &contact.id)? {
        return Err(refused(Code::Association, "names refer to the contact"));
    }
    tx.execute("delete from epp_contact where id = $1", params![contact.id])?;
    Ok(done())
}
