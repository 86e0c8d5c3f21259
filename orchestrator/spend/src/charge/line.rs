//! Which held line a charge is of, and moving that line to the month it is charged in.

use purser_db::{DbError, Tx, params};
use purser_values::{Env, Money, Month};

use super::{ChargeAsk, Refusal};
use crate::hold::{self, HeldLine, Hold, LineState};
use crate::quote::Recurs;
use crate::{ceiling, share};

/// The line that the charge names: the period's own, else the first period's.
///
/// A hold ends at its time, whether or not the sweep has come by.
pub fn choose(tx: &mut Tx<'_>, env: &Env, hold: &Hold, ask: &ChargeAsk) -> Result<Result<HeldLine, Refusal>, DbError> {
    let lines: Vec<HeldLine> = hold::lines(tx, hold)?.into_iter().filter(|line| line.line == ask.line).collect();
    let named = ask.period.as_deref().and_then(|period| lines.iter().find(|line| line.period == period));
    let open = lines.iter().find(|line| line.state == LineState::Open && (ask.period.is_none() || line.period.is_empty()));
    let Some(line) = named.or(open).or(lines.first()) else { return Ok(Err(Refusal::LineUnknown)) };
    let another_period = named.is_none() && ask.period.is_some() && line.recurs != Recurs::Once;
    Ok(match line.state {
        LineState::Open if hold.expires_at <= env.now() => Err(Refusal::HoldExpired),
        LineState::Open => Ok(line.clone()),
        LineState::Charging => Err(Refusal::LineBusy),
        LineState::Charged if another_period => Err(Refusal::NotReserved),
        LineState::Charged => Err(Refusal::LineCharged),
        LineState::Released => Err(Refusal::LineReleased),
    })
}

/// Whether the amount is what the line allows.
pub fn fits(line: &HeldLine, amount: Money) -> Result<(), Refusal> {
    if line.amount.currency() != amount.currency() {
        Err(Refusal::Currency)
    } else if !amount.is_positive() {
        Err(Refusal::Amount)
    } else if amount.minor() > line.amount.minor() {
        Err(Refusal::AmountOverLine)
    } else {
        Ok(())
    }
}

/// Makes the line count in the month, and in each ceiling's period, in which it is charged.
///
/// INVARIANT (cap, ceiling): money held in November and charged in December is December's; without room there the charge is refused.
pub fn bring_to_now(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine) -> Result<Result<(), Refusal>, DbError> {
    let month = env.now().month();
    if line.month != month
        && let Err(refusal) = bring_to_month(tx, env, hold, line, month)?
    {
        return Ok(Err(refusal));
    }
    Ok(ceiling::bring_to_now(tx, env, hold, line)?.map_or(Ok(()), |_| Err(Refusal::CeilingReached)))
}

fn bring_to_month(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, month: Month) -> Result<Result<(), Refusal>, DbError> {
    if line.month > month {
        return Ok(Err(Refusal::NotDue));
    }
    let (shares, whose) = (share::of_hold(tx, &hold.id)?, (&hold.spender.organisation, &hold.provider));
    if share::reserve_month(tx, env, whose, &shares, month, line.amount, hold.id.as_str())?.is_err() {
        return Ok(Err(Refusal::CapReached));
    }
    share::release_month(tx, env, hold, line, hold.id.as_str())?;
    let update = "update spend_hold_line set month = $4 where hold = $1 and line = $2 and period = $3";
    tx.execute(update, params![hold.id, line.line, line.period, month])?;
    Ok(Ok(()))
}
