//! What a hold was for is removed: no more is set aside, and what was used until then is still paid.

use purser_authority::{Caller, Denied, Done, Event};
use purser_db::{Tx, params};
use purser_values::Env;
use purser_values::id::HoldId;
use serde_json::json;

use super::release::{give_back_but, release};
use super::{HoldError, LineState, find, lines};
use crate::{charge, limits, renewal, spender};

/// Gives back everything but the blocks of use that were set aside and are not charged. Those, and the token with which their provider
/// charges them, live on until it has charged or released each, or until [`limits::USAGE_CLOSING_S`] later. Without such blocks it is
/// [`release`]. Closing again does nothing.
///
/// # Errors
/// When the hold is not the caller's organisation's.
pub fn close(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &HoldId) -> Result<Done<()>, HoldError> {
    let hold = find(tx, id)?.ok_or(Denied::NotFound)?;
    spender::allowed(caller, &hold.spender, None)?;
    let owed = lines(tx, &hold)?.iter().any(|line| line.is_block() && matches!(line.state, LineState::Open | LineState::Charging));
    if !owed || !hold.state.pays() {
        return release(tx, env, caller, id);
    }
    let given_back = give_back_but(tx, env, &hold, |line| line.is_block())?;
    renewal::forget(tx, &hold.id)?;
    let until = env.now().plus_secs(limits::USAGE_CLOSING_S);
    let update = "update spend_hold set state = 'closing', expires_at = $2 where id = $1 and state = 'open'";
    if tx.execute(update, params![hold.id, until])? == 0 {
        return Ok(Done::quiet(()));
    }
    let done = charge::give_up_but_use(tx, env, &hold)?;
    let event = Event::done("hold_close", caller, hold.id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"released": given_back, "provider": hold.provider, "until": until}));
    Ok(done.and_event(event))
}
