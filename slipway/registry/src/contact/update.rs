//! `contact:update`.

use purser_db::Tx;

use super::{CLIENT_STATUSES, apply, named, save};
use crate::code::Code;
use crate::command::{Call, auth_info, done, only, statuses};
use crate::reply::{Outcome, refused};

pub(crate) fn update(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["id", "add", "rem", "chg"])?;
    let mut contact = named(tx, call)?;
    if contact.client != call.client {
        return Err(refused(Code::Authorisation, "the contact is another registrar's"));
    }
    let (add, rem, chg) = (call.object.child("add"), call.object.child("rem"), call.object.child("chg"));
    if add.or(rem).or(chg).is_none() {
        return Err(refused(Code::Missing, "there is nothing to change"));
    }
    for part in add.into_iter().chain(rem) {
        only(part, &["status"])?;
    }
    let removed = statuses(rem, &CLIENT_STATUSES)?;
    let locked = contact.statuses.iter().any(|it| it.ends_with("UpdateProhibited"));
    if locked && !(add.is_none() && chg.is_none() && removed.iter().any(|it| it == "clientUpdateProhibited")) {
        return Err(refused(Code::Status, "the contact is `clientUpdateProhibited`"));
    }
    contact.statuses.retain(|it| !removed.contains(it));
    for status in statuses(add, &CLIENT_STATUSES)? {
        if !contact.statuses.contains(&status) {
            contact.statuses.push(status);
        }
    }
    if let Some(chg) = chg {
        apply(&mut contact.body, chg)?;
        if let Some(auth) = auth_info(chg)? {
            contact.auth = Some(call.pepper.of("contact", &contact.id, &auth));
        }
    }
    contact.updated_by = Some(call.client.to_owned());
    contact.updated_at = Some(call.now);
    save(tx, &contact)?;
    Ok(done())
}
