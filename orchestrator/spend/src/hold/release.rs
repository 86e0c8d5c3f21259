//! Gives back what was not charged.

use purser_authority::{Caller, Denied, Done, Event};
use purser_db::{DbError, Tx, params};
use purser_values::id::HoldId;
use purser_values::{Env, Money};
use serde_json::json;

use super::{HeldLine, Hold, HoldError, HoldState, LineState, find, lines};
use crate::quote::Recurs;
use crate::{charge, share, spender, token};

/// Releases every line that is not charged and not being charged, and ends the payment token with it. Releasing again does
/// nothing. It only ever narrows, so it takes a caller and no permit: undo runs as the system.
///
/// # Errors
/// When the hold is not the caller's organisation's.
pub fn release(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &HoldId) -> Result<Done<()>, HoldError> {
    let hold = find(tx, id)?.ok_or(Denied::NotFound)?;
    spender::allowed(caller, &hold.spender, None)?;
    let given_back = give_back(tx, env, &hold)?;
    let ended = token::end_of_hold(tx, &hold.id)?;
    // Nobody is asked any more for what nobody wants any more.
    let done = charge::give_up(tx, env, &hold.id)?;
    if given_back.is_zero() && !ended {
        return Ok(done);
    }
    let event = Event::done("hold_release", caller, hold.id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"released": given_back, "provider": hold.provider}));
    Ok(done.and_event(event))
}

/// Moves the open lines back to the room. A line that is being charged stays held until the rail has answered.
pub(super) fn give_back(tx: &mut Tx<'_>, env: &Env, hold: &Hold) -> Result<Money, DbError> {
    let sum = give_back_but(tx, env, hold, |_| false)?;
    if hold.state.pays() {
        tx.execute("update spend_hold set state = 'released' where id = $1", params![hold.id])?;
    }
    Ok(sum)
}

/// The same for the lines that are not kept; the hold stays as it is.
pub(super) fn give_back_but(tx: &mut Tx<'_>, env: &Env, hold: &Hold, keep: impl Fn(&HeldLine) -> bool) -> Result<Money, DbError> {
    let mut sum = Money::zero(hold.amount.currency());
    for line in lines(tx, hold)?.into_iter().filter(|line| line.state == LineState::Open && !keep(line)) {
        release_line(tx, env, hold, &line)?;
        sum = sum.checked_add(line.amount).map_err(|e| DbError::Corrupt(e.to_string()))?;
    }
    Ok(sum)
}

/// Moves one open line back to the room.
pub(crate) fn release_line(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine) -> Result<(), DbError> {
    share::release(tx, env, hold, line, hold.id.as_str())?;
    let update = "update spend_hold_line set state = 'released' where hold = $1 and line = $2 and period = $3 and state = 'open'";
    match tx.execute(update, params![hold.id, line.line, line.period])? {
        1 => Ok(()),
        _ => Err(DbError::Corrupt(format!("a line of `{}` was released twice", hold.id))),
    }
}

/// After a charge: a hold with nothing left to charge is settled, and its token is spent unless it comes again.
pub(crate) fn settle(tx: &mut Tx<'_>, hold: &Hold) -> Result<(), DbError> {
    let lines = lines(tx, hold)?;
    if lines.iter().any(|line| matches!(line.state, LineState::Open | LineState::Charging)) {
        return Ok(());
    }
    tx.execute("update spend_hold set state = 'settled' where id = $1 and state in ('open', 'closing')", params![hold.id])?;
    if hold.state == HoldState::Closing || lines.iter().all(|line| line.recurs == Recurs::Once) {
        token::spent_of_hold(tx, &hold.id)?;
    }
    Ok(())
}
