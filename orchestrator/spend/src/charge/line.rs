//! Which held line a charge is of, and moving that line to the month it is charged in.

use purser_db::{DbError, Tx, params};
use purser_values::{Env, Money, Month};

use super::{ChargeAsk, Refusal};
use crate::hold::{self, HeldLine, Hold, LineState};
use crate::quote::Recurs;
use crate::rate::{self, Kept, Rate};
use crate::room::{Need, Reach};
use crate::{ceiling, renewal, share};

/// The line that the charge names: the period's own, else the first period's.
///
/// Where the money for a period that is due was refused when it was to be set aside, it is tried again now: a person may have made room.
/// A hold ends at its time, whether or not the sweep has come by.
pub fn choose(tx: &mut Tx<'_>, env: &Env, hold: &Hold, ask: &ChargeAsk) -> Result<Result<HeldLine, Refusal>, DbError> {
    let mut lines = lines_of(tx, hold, ask)?;
    let missing = named(&lines, ask).is_none_or(|line| line.state == LineState::Released);
    if missing && renewal::catch_up(tx, env, hold, &ask.line, ask.amount)? {
        lines = lines_of(tx, hold, ask)?;
    }
    let named = named(&lines, ask);
    let open = lines.iter().find(|line| line.state == LineState::Open && (ask.period.is_none() || line.period.is_empty()));
    let Some(line) = named.or(open).or(lines.first()) else { return Ok(Err(Refusal::LineUnknown)) };
    let another_period = named.is_none() && ask.period.is_some() && line.recurs != Recurs::Once;
    Ok(match line.state {
        LineState::Open if hold_over(tx, env, hold)? => Err(Refusal::HoldExpired),
        LineState::Open => Ok(line.clone()),
        LineState::Charging => Err(Refusal::LineBusy),
        LineState::Charged if another_period => Err(Refusal::NotReserved),
        LineState::Charged => Err(Refusal::LineCharged),
        LineState::Released => Err(Refusal::LineReleased),
    })
}

fn lines_of(tx: &mut Tx<'_>, hold: &Hold, ask: &ChargeAsk) -> Result<Vec<HeldLine>, DbError> {
    Ok(hold::lines(tx, hold)?.into_iter().filter(|line| line.line == ask.line).collect())
}

/// The period's own line. A provider whose clock is a little before ours may name the month before the one that we set aside for.
fn named<'a>(lines: &'a [HeldLine], ask: &ChargeAsk) -> Option<&'a HeldLine> {
    let period = ask.period.as_deref()?;
    let own = lines.iter().find(|line| line.period == period);
    own.or_else(|| {
        let next = period.parse::<Month>().ok()?.end().month().to_string();
        lines.iter().find(|line| line.period == next && line.state == LineState::Open && line.recurs.months().is_some())
    })
}

/// Setting a period aside again gave the hold more time than the caller's copy says.
fn hold_over(tx: &mut Tx<'_>, env: &Env, hold: &Hold) -> Result<bool, DbError> {
    Ok(hold::find(tx, &hold.id)?.ok_or(DbError::NoRow)?.expires_at <= env.now())
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
/// Use is what it was set aside for: what accrued in November counts in November, whenever it is charged.
pub fn bring_to_now(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine) -> Result<Result<(), Refusal>, DbError> {
    let month = env.now().month();
    if line.recurs == Recurs::Metered {
        return Ok(Ok(()));
    }
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
    let shares = share::of_hold(tx, &hold.id)?;
    let kept: Vec<Rate> = rate::of_line(tx, &hold.id, &line.line, &line.period)?.into_iter().map(|kept| kept.rate).collect();
    let need = Need { reach: Reach::Month, kept: &kept, ..hold.need(&shares, env.now()) };
    let Ok(taking) = share::reserve(tx, env, &need, line.amount, hold.id.as_str())? else { return Ok(Err(Refusal::CapReached)) };
    let of = |rate| Kept { hold: &hold.id, line: &line.line, period: &line.period, amount: line.amount, rate };
    rate::keep(tx, taking.rates.iter().map(of))?;
    share::release_month(tx, env, hold, line, hold.id.as_str())?;
    let update = "update spend_hold_line set month = $4 where hold = $1 and line = $2 and period = $3";
    tx.execute(update, params![hold.id, line.line, line.period, month])?;
    Ok(Ok(()))
}
