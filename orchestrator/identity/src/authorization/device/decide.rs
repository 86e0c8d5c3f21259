//! The person's answer, once.

use purser_authority::action::AuthorizationDecide;
use purser_authority::{Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::id::AuthorizationId;
use serde_json::json;

use super::device_sign_on;
use crate::authorization::code::SignedInFacts;
use crate::authorization::{Choice, DecideError};
use crate::realm::Realm;
use crate::session::Session;

/// Answers the request that the permit is for, for the person of the session.
///
/// # Errors
/// See [`DecideError`].
pub fn device_sign_on_decide(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<AuthorizationDecide>,
    session: &Session,
    choice: Choice,
) -> Result<Done<()>, DecideError> {
    let id: AuthorizationId = permit.subject().parse().map_err(|_| DecideError::Over)?;
    let now = realm.env.now();
    let asked = device_sign_on(tx, &id, now)?.filter(super::DeviceSignOn::is_pending).ok_or(DecideError::Over)?.asked;
    let (state, decision, facts) = match choice {
        Choice::Accept => ("accepted", "accept", Some(json!(SignedInFacts::of(tx, session, asked.scope.clone(), None)?))),
        Choice::Deny => ("denied", "deny", None),
    };
    // Counted in the statement that writes it, so that of two answers at once one is taken.
    let answer = "update device_sign_on set state = $2, decided_at = $3, session = $4, signed_in = $5 where id = $1 and state = 'pending'";
    if tx.execute(answer, params![id, state, now, session.id, facts])? != 1 {
        return Err(DecideError::Over);
    }
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([asked.client.as_str()]).with(
        json!({ "decision": decision, "client": asked.client, "client_name": asked.client_name, "scope": asked.scope, "flow": "device" }),
    );
    Ok(Done::with_event((), event))
}
