//! The end of a subscription. What was used until then is still charged, from what was set aside for it.

use purser_db::{DbError, Tx};
use slipway_accounts::realm::Realm;

use super::{Payment, State, Subscription, write};
use crate::notice::{self, Notice};
use crate::usage;

pub(super) fn end(tx: &mut Tx<'_>, realm: &Realm, sub: Subscription, notice: Option<Notice>) -> Result<(), DbError> {
    let now = realm.env.now();
    usage::close::close(tx, &sub.resource, now.min(sub.period().end.max(sub.created_at)))?;
    let open = crate::charge::open_of(tx, &sub.resource)?.is_some();
    let mut sub = Subscription { state: State::Ended { since: now }, renews: false, ..sub };
    // A charge that is under way is asked for again with what it began with.
    if !open {
        sub.change = None;
        sub.terms.payment = Payment { token: None, ..sub.terms.payment };
    }
    write::put(tx, &realm.env, &mut sub)?;
    write::hurry(tx, &realm.env, &sub)?;
    match notice {
        Some(notice) => notice::tell(tx, realm, &sub, &notice),
        None => Ok(()),
    }
}
