//! `domain:delete`: a fresh name is free again at once, an older one can be had back for a while (RFC 3915).

use purser_db::Tx;

use super::info::subordinates;
use super::{erase, named, save};
use crate::code::Code;
use crate::command::{Call, done};
use crate::limits::GRACE_S;
use crate::reply::{Answer, Outcome, refused};
use crate::store::is_linked_elsewhere;

pub(crate) fn delete(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name"])?;
    let mut domain = named(tx, call)?;
    domain.belongs_to(call)?;
    domain.allows("DeleteProhibited", call.now)?;
    for host in subordinates(tx, &domain.name)? {
        if is_linked_elsewhere(tx, "host", &host, &domain.name)? {
            return Err(refused(Code::Association, format!("other names are delegated to `{host}`")));
        }
    }
    if call.now < domain.created_at.plus_secs(GRACE_S) {
        erase(tx, &domain.name)?;
        return Ok(done());
    }
    domain.deleted_at = Some(call.now);
    domain.updated_by = Some(call.client.to_owned());
    domain.updated_at = Some(call.now);
    save(tx, &domain)?;
    Ok(Answer::new(Code::Pending))
}
