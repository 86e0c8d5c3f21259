//! What comes again: money for the next period is set aside ahead of its due date, within the cap of the month it is due in.
//!
//! The provider charges the same token, naming the period. Without a reservation the charge is refused
//! (`period_not_reserved`), so a subscription can never take what no cap has room for.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::{DbError, Tx, params};
use purser_values::id::{HoldId, ResourceId};
use purser_values::{Env, Money, Timestamp};
use serde_json::json;

use crate::ceiling::Note;
use crate::hold::{self, HeldLine, Hold, LineState, Purchase};
use crate::quote::Recurs;
use crate::rate::{self, Kept};
use crate::room::{Ceiling, Full};
use crate::token::TokenState;
use crate::under::under;
use crate::{ceiling, credit, freeze, ledger, limits, share, token};

/// After a line was charged: when it is due next. Due dates are counted from the first charge, so that what began on the 31st is due on
/// the last day of a shorter month and on the 31st again after it.
pub(crate) fn note(tx: &mut Tx<'_>, hold: &Hold, line: &HeldLine, charged_at: Timestamp) -> Result<(), DbError> {
    let Some(months) = line.recurs.months() else { return Ok(()) };
    let select = "select anchor, number from spend_renewal where hold = $1 and line = $2";
    let (anchor, number) = match tx.query_opt(select, params![hold.id, line.line])? {
        Some(row) => (row.get::<Timestamp>("anchor")?, row.get::<i64>("number")? + 1),
        None => (charged_at, 1),
    };
    let due = anchor.plus_months(i32::try_from(number).unwrap_or(i32::MAX).saturating_mul(months));
    let upsert = "insert into spend_renewal (hold, line, next_at, state, anchor, number) values ($1, $2, $3, 'waiting', $4, $5)
                  on conflict (hold, line) do update set next_at = $3, state = 'waiting', number = $5";
    tx.execute(upsert, params![hold.id, line.line, due, anchor, number]).map(drop)
}

/// A line that a credit pays in whole at first comes again without a charge before it: when it is due next is counted from now.
pub(crate) fn begin(tx: &mut Tx<'_>, hold: &Hold, purchase: &Purchase) -> Result<(), DbError> {
    for line in purchase.quote.lines.iter().filter(|line| line.amount.is_zero() && purchase.by_credit.contains_key(&line.id)) {
        let Some(months) = line.recurs.months() else { continue };
        let insert = "insert into spend_renewal (hold, line, next_at, state, anchor, number) values ($1, $2, $3, 'waiting', $4, 1)
                      on conflict (hold, line) do nothing";
        tx.execute(insert, params![hold.id, line.id, hold.created_at.plus_months(months), hold.created_at])?;
    }
    Ok(())
}

/// Tries again to set aside what is due and was refused, was not looked at in time, or was to be paid by a credit. Of the latter so much as
/// is charged, and at most a period's price. Tells whether it is set aside now.
pub(crate) fn catch_up(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &str, asked: Money) -> Result<bool, DbError> {
    let select =
        "select next_at from spend_renewal where hold = $1 and line = $2 and state not in ('reserved', 'stopped') and next_at <= $3";
    let Some(row) = tx.query_opt(select, params![hold.id, line, env.now()])? else { return Ok(false) };
    let part = credit::price(tx, hold, line)?.filter(|price| asked.is_positive() && asked.minor() < price.minor()).map(|_| asked);
    if try_one(tx, env, hold, line, row.get("next_at")?, part)?.is_some() {
        return Ok(false);
    }
    tx.execute("update spend_renewal set state = 'reserved' where hold = $1 and line = $2", params![hold.id, line])?;
    Ok(true)
}

/// The time of a hold is over: what was set aside for a period and not charged is not any more. Tells whether the hold has anything that
/// comes again; then nothing is left to charge, and it can be set aside anew.
pub(crate) fn lapse(tx: &mut Tx<'_>, hold: &HoldId) -> Result<bool, DbError> {
    let kept = hold::find(tx, hold)?.ok_or(DbError::NoRow)?;
    for row in tx.query("select line from spend_renewal where hold = $1 and state = 'reserved'", params![hold])? {
        not_set_aside(tx, &kept, &row.get::<String>("line")?)?;
    }
    if tx.query_opt("select 1 as one from spend_renewal where hold = $1 limit 1", params![hold])?.is_none() {
        return Ok(false);
    }
    tx.execute("update spend_hold set state = 'settled' where id = $1", params![hold])?;
    Ok(true)
}

/// Sets money aside for what is due soon, a batch at a time. Answers how many were looked at; call again until it is none.
///
/// What finds no room, a frozen agent or an ended token is not set aside; it is recorded and not tried again.
///
/// # Errors
/// When the store fails.
pub fn reserve(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let env = &env.still();
    // Who is due at the same moment goes in the order of the purchases: the last room is always the same one's.
    let due = "select hold, line, next_at from spend_renewal where state = 'waiting' and next_at <= $1
               order by next_at, hold, line limit $2";
    let rolled = roll(tx, env)?;
    let rows = tx.query(due, params![env.now().plus_secs(limits::RENEWAL_AHEAD_S), limits::BATCH])?;
    let mut done = Done::quiet(rows.len() + rolled);
    for row in rows {
        let id: HoldId = row.parse("hold")?;
        let (line, next_at): (String, Timestamp) = (row.get("line")?, row.get("next_at")?);
        let hold = hold::find(tx, &id)?.ok_or(DbError::NoRow)?;
        if credit::price(tx, &hold, &line)?.is_some() && credit::is_expected(tx, &hold, next_at)? {
            not_set_aside(tx, &hold, &line)?;
            continue;
        }
        let refusal = try_one(tx, env, &hold, &line, next_at, None)?;
        if refusal.is_some() {
            not_set_aside(tx, &hold, &line)?;
        } else {
            tx.execute("update spend_renewal set state = 'reserved' where hold = $1 and line = $2", params![id, line])?;
        }
        let outcome = refusal.map_or(Outcome::Done, |code| Outcome::Refused(code.to_owned()));
        let event = Event::new("renewal_reserve", outcome, &Caller::System, id.as_str())
            .in_organisation(&hold.spender.organisation)
            .related([hold.resource.as_str(), hold.spender.agent.as_str()])
            .with(json!({"line": line, "due": next_at, "provider": hold.provider}));
        done = done.and_event(under(tx, &hold, event)?);
    }
    Ok(done)
}

/// Something else is paid for now, or nothing: no further period is set aside, and what is set aside for one already is given back. Use
/// that was set aside in blocks stays, because it may have accrued.
///
/// # Errors
/// When the store fails.
pub fn stop(tx: &mut Tx<'_>, env: &Env, hold: &Hold) -> Result<Done<()>, DbError> {
    if tx.execute("delete from spend_renewal where hold = $1", params![hold.id])? == 0 {
        return Ok(Done::quiet(()));
    }
    for line in hold::lines(tx, hold)?.iter().filter(|line| line.recurs.months().is_some() && line.state == LineState::Open) {
        share::release(tx, env, hold, line, hold.id.as_str())?;
        let update = "update spend_hold_line set state = 'released' where hold = $1 and line = $2 and period = $3 and state = 'open'";
        ledger::once(tx.execute(update, params![hold.id, line.line, line.period])?)?;
    }
    hold::settle(tx, hold)?;
    let event = Event::done("renewal_stop", &Caller::System, hold.id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"provider": hold.provider}));
    Ok(Done::with_event((), under(tx, hold, event)?))
}

/// Nothing is set aside for the period. A line that a credit may pay for goes on to the next period when that comes near, charged or not; any
/// other waits for its charge.
fn not_set_aside(tx: &mut Tx<'_>, hold: &Hold, line: &str) -> Result<(), DbError> {
    let works = token::of_hold(tx, &hold.id)?.is_some_and(|token| token.state == TokenState::Active);
    if !works || credit::price(tx, hold, line)?.is_none() {
        return tx.execute("update spend_renewal set state = 'refused' where hold = $1 and line = $2", params![hold.id, line]).map(drop);
    }
    let next = following(tx, hold, line)?;
    let roll_at = next.plus_secs(-limits::RENEWAL_AHEAD_S);
    tx.execute("update spend_renewal set state = 'covered', roll_at = $3 where hold = $1 and line = $2", params![hold.id, line, roll_at])?;
    token::extend(tx, &hold.id, next.plus_secs(limits::RECURRING_TOKEN_LIFE_S))
}

/// When the period after the next one is due.
fn following(tx: &mut Tx<'_>, hold: &Hold, line: &str) -> Result<Timestamp, DbError> {
    let select = "select r.anchor, r.number, l.recurs from spend_renewal r join spend_hold_line l on l.hold = r.hold and l.line = r.line
                  where r.hold = $1 and r.line = $2 and l.period = ''";
    let row = tx.query_one(select, params![hold.id, line])?;
    let (anchor, number, recurs): (Timestamp, i64, Recurs) = (row.get("anchor")?, row.get("number")?, row.parse("recurs")?);
    let number = i32::try_from(number.saturating_add(1)).unwrap_or(i32::MAX);
    Ok(anchor.plus_months(number.saturating_mul(recurs.months().unwrap_or(1))))
}

/// What a credit was to pay for goes on to its next period when that comes near.
fn roll(tx: &mut Tx<'_>, env: &Env) -> Result<usize, DbError> {
    let due = "select hold, line from spend_renewal where state = 'covered' and roll_at <= $1 order by roll_at, hold, line limit $2";
    let rows = tx.query(due, params![env.now(), limits::BATCH])?;
    for row in &rows {
        let id: HoldId = row.parse("hold")?;
        let (hold, line) = (hold::find(tx, &id)?.ok_or(DbError::NoRow)?, row.get::<String>("line")?);
        let next = following(tx, &hold, &line)?;
        let update = "update spend_renewal set state = 'waiting', number = number + 1, next_at = $3 where hold = $1 and line = $2";
        tx.execute(update, params![id, line, next])?;
    }
    Ok(rows.len())
}

/// When what was bought for a resource is due next; nothing where nothing comes again.
///
/// # Errors
/// When the store fails.
pub fn due(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<Option<Timestamp>, DbError> {
    let select = "select min(r.next_at) as at from spend_renewal r join spend_hold h on h.id = r.hold
                  where h.resource = $1 and exists (select 1 from payment_token t where t.hold = h.id and t.state = 'active')";
    tx.query_one(select, params![resource])?.get("at")
}

/// What was bought for a resource ends with its period: nothing is set aside for another, and what is already goes back.
///
/// # Errors
/// When the store fails.
pub fn pause(tx: &mut Tx<'_>, env: &Env, resource: &ResourceId) -> Result<(), DbError> {
    for hold in hold::of_resource(tx, resource)? {
        let reserved = "select line, next_at from spend_renewal where hold = $1 and state = 'reserved'";
        for row in tx.query(reserved, params![hold.id])? {
            let (name, period): (String, String) = (row.get("line")?, row.get::<Timestamp>("next_at")?.month().to_string());
            let held = |line: &HeldLine| line.line == name && line.period == period && line.state == LineState::Open;
            if let Some(line) = hold::lines(tx, &hold)?.into_iter().find(held) {
                hold::release_line(tx, env, &hold, &line)?;
            }
        }
        tx.execute("update spend_renewal set state = 'stopped' where hold = $1", params![hold.id])?;
    }
    Ok(())
}

/// It goes on after all. What is due is set aside in its time, or when it is charged.
///
/// # Errors
/// When the store fails.
pub fn resume(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<(), DbError> {
    for hold in hold::of_resource(tx, resource)? {
        tx.execute("update spend_renewal set state = 'waiting' where hold = $1 and state = 'stopped'", params![hold.id])?;
    }
    Ok(())
}

/// Nothing of the hold comes again: what it was for is removed.
pub(crate) fn forget(tx: &mut Tx<'_>, hold: &HoldId) -> Result<(), DbError> {
    tx.execute("delete from spend_renewal where hold = $1", params![hold]).map(drop)
}

/// A hold that holds something again stays open at least until then.
pub(crate) fn keep_open(tx: &mut Tx<'_>, hold: &HoldId, until: Timestamp) -> Result<(), DbError> {
    let reopen =
        "update spend_hold set expires_at = case when state = 'open' and expires_at > $2 then expires_at else $2 end, state = 'open'
                  where id = $1";
    tx.execute(reopen, params![hold, until]).map(drop)
}

/// Holds what a period of the line costs, or a part of it, in the month it is due in, or tells why not.
fn try_one(
    tx: &mut Tx<'_>,
    env: &Env,
    hold: &Hold,
    line: &str,
    due: Timestamp,
    part: Option<Money>,
) -> Result<Option<&'static str>, DbError> {
    let needed = due.max(env.now());
    let works = token::of_hold(tx, &hold.id)?.is_some_and(|token| token.state == TokenState::Active && token.expires_at > needed);
    if !works {
        return Ok(Some("payment_token_ended"));
    }
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Ok(Some("agent_frozen"));
    }
    let all = hold::lines(tx, hold)?;
    let first = all.iter().find(|held| held.line == line).ok_or(DbError::NoRow)?;
    let amount = part.or(credit::price(tx, hold, line)?).unwrap_or(first.amount);
    let (period, month) = (due.month(), needed.month());
    // It is set aside already: its charge was under way when the time of its hold was over, or when it was paused.
    let named = period.to_string();
    if all.iter().any(|held| held.line == line && held.period == named && held.state != LineState::Released) {
        return Ok(None);
    }
    let shares = share::of_hold(tx, &hold.id)?;
    let taking = match share::reserve(tx, env, &hold.need(&shares, needed), amount, hold.id.as_str())? {
        Ok(taking) => taking,
        Err(Full::Stopped) => return Ok(Some("ledger_stopped")),
        Err(Full::NoCap) => return Ok(Some("cap_missing")),
        Err(Full::Reached(Ceiling::Life(_), _)) => return Ok(Some("total_reached")),
        Err(Full::Rate(_)) => return Ok(Some("rate_not_in_force")),
        Err(Full::Reached(Ceiling::Window(_), _) | Full::Currency(Ceiling::Window(_)) | Full::Purchase(_) | Full::PurchaseCurrency(_)) => {
            return Ok(Some("ceiling_reached"));
        }
        Err(_) => return Ok(Some("cap_reached")),
    };
    // What was set aside for this period before, and given back, is set aside anew.
    let leave = "delete from spend_line_window where hold = $1 and line = $2 and period = $3";
    tx.execute(leave, params![hold.id, line, named])?;
    let insert = "insert into spend_hold_line (hold, line, period, month, description, amount, recurs, state)
                  values ($1, $2, $3, $8, $4, $5, $6, $7)
                  on conflict (hold, line, period) do update set state = $7, month = $8, amount = $5 where spend_hold_line.state = 'released'";
    ceiling::notes(tx, taking.windows.iter().map(|window| Note { hold: &hold.id, line, period: &named, window }))?;
    rate::forget(tx, &hold.id, line, &named)?;
    rate::keep(tx, taking.rates.iter().map(|rate| Kept { hold: &hold.id, line, period: &named, amount, rate }))?;
    let (amount, recurs) = (amount.minor(), first.recurs.name());
    ledger::once(tx.execute(insert, params![hold.id, line, period, first.description, amount, recurs, LineState::Open.name(), month])?)?;
    keep_open(tx, &hold.id, due.max(env.now()).plus_secs(limits::RENEWAL_GRACE_S))?;
    token::extend(tx, &hold.id, due.plus_secs(limits::RECURRING_TOKEN_LIFE_S))?;
    Ok(None)
}
