//! Ends a payment token; what it held goes back.

use purser_authority::{Caller, Denied, Done, Event};
use purser_db::Tx;
use purser_values::Env;
use purser_values::id::PaymentTokenId;

use super::{TokenError, TokenState, find};
use crate::hold::{self, HoldError};
use crate::spender;

/// Revokes the token and releases its hold in one write, so that there is never a hold that nobody can charge, nor a token
/// without one. Revoking again does nothing.
///
/// # Errors
/// When the token is not the caller's organisation's.
pub fn revoke(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &PaymentTokenId) -> Result<Done<()>, TokenError> {
    let token = find(tx, id)?.ok_or(Denied::NotFound)?;
    spender::allowed(caller, &token.spender, None)?;
    if token.state != TokenState::Active {
        return Ok(Done::quiet(()));
    }
    let released = hold::release(tx, env, caller, &token.hold).map_err(|e| match e {
        HoldError::Store(e) => TokenError::Store(e),
        _ => TokenError::Denied(Denied::NotFound),
    })?;
    let event = Event::done("payment_token_revoke", caller, id.as_str()).in_organisation(&token.spender.organisation).related([
        token.hold.as_str(),
        token.spender.agent.as_str(),
        token.prefix.as_str(),
    ]);
    Ok(released.and_event(event))
}
