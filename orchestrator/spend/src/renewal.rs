//! What comes again: money for the next period is set aside ahead of its due date, within the cap of the month it is due in.
//!
//! The provider charges the same token, naming the period. Without a reservation the charge is refused
//! (`period_not_reserved`), so a subscription can never take what no cap has room for.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::{DbError, Tx, params};
use purser_values::id::HoldId;
use purser_values::{Env, Timestamp};
use serde_json::json;

use crate::hold::{self, HeldLine, Hold, LineState};
use crate::share::{self, Ceiling, Full};
use crate::token::TokenState;
use crate::{ceiling, freeze, limits, token};

/// After a line was charged: when it is due next.
pub(crate) fn note(tx: &mut Tx<'_>, hold: &Hold, line: &HeldLine, charged_at: Timestamp) -> Result<(), DbError> {
    let Some(months) = line.recurs.months() else { return Ok(()) };
    let select = "select next_at from spend_renewal where hold = $1 and line = $2";
    let due = match tx.query_opt(select, params![hold.id, line.line])? {
        Some(row) => row.get::<Timestamp>("next_at")?,
        None => charged_at,
    };
    let upsert = "insert into spend_renewal (hold, line, next_at, state) values ($1, $2, $3, 'waiting')
                  on conflict (hold, line) do update set next_at = $3, state = 'waiting'";
    tx.execute(upsert, params![hold.id, line.line, due.plus_months(months)]).map(drop)
}

/// Sets money aside for what is due soon, a batch at a time. Answers how many were looked at; call again until it is none.
///
/// What finds no room, a frozen agent or an ended token is not set aside; it is recorded and not tried again.
///
/// # Errors
/// When the store fails.
pub fn reserve(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let due = "select hold, line, next_at from spend_renewal where state = 'waiting' and next_at <= $1 order by next_at limit $2";
    let rows = tx.query(due, params![env.now().plus_secs(limits::RENEWAL_AHEAD_S), limits::BATCH])?;
    let mut done = Done::quiet(rows.len());
    for row in rows {
        let id: HoldId = row.parse("hold")?;
        let (line, next_at): (String, Timestamp) = (row.get("line")?, row.get("next_at")?);
        let hold = hold::find(tx, &id)?.ok_or(DbError::NoRow)?;
        let refusal = try_one(tx, env, &hold, &line, next_at)?;
        let state = if refusal.is_some() { "refused" } else { "reserved" };
        tx.execute("update spend_renewal set state = $3 where hold = $1 and line = $2", params![id, line, state])?;
        let outcome = refusal.map_or(Outcome::Done, |code| Outcome::Refused(code.to_owned()));
        done = done.and_event(
            Event::new("renewal_reserve", outcome, &Caller::System, id.as_str())
                .in_organisation(&hold.spender.organisation)
                .related([hold.resource.as_str(), hold.spender.agent.as_str()])
                .with(json!({"line": line, "due": next_at, "provider": hold.provider})),
        );
    }
    Ok(done)
}

enum Stop {
    Full(Full),
    Store(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

/// Holds the line's amount in the month it is due in, or tells why not.
fn try_one(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &str, due: Timestamp) -> Result<Option<&'static str>, DbError> {
    let works = token::of_hold(tx, &hold.id)?.is_some_and(|token| token.state == TokenState::Active && token.expires_at > due);
    if !works {
        return Ok(Some("payment_token_ended"));
    }
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Ok(Some("agent_frozen"));
    }
    let all = hold::lines(tx, hold)?;
    let first = all.iter().find(|held| held.line == line).ok_or(DbError::NoRow)?;
    let month = due.month();
    let shares = share::of_hold(tx, &hold.id)?;
    // What one ceiling gave must not stay taken when another is full.
    let taken = tx.savepoint(|tx| share::reserve(tx, env, &hold.facts(&shares), due, first.amount, hold.id.as_str())?.map_err(Stop::Full));
    let windows = match taken {
        Ok(windows) => windows,
        Err(Stop::Store(e)) => return Err(e),
        Err(Stop::Full(Full::NoCap)) => return Ok(Some("cap_missing")),
        Err(Stop::Full(Full::Reached(Ceiling::Life(_), _))) => return Ok(Some("total_reached")),
        Err(Stop::Full(Full::Reached(Ceiling::Window(_), _) | Full::Currency(Ceiling::Window(_)) | Full::Purchase(_))) => {
            return Ok(Some("ceiling_reached"));
        }
        Err(Stop::Full(_)) => return Ok(Some("cap_reached")),
    };
    let insert = "insert into spend_hold_line (hold, line, period, month, description, amount, recurs, state)
                  values ($1, $2, $3, $3, $4, $5, $6, $7)";
    ceiling::note(tx, &hold.id, line, &month.to_string(), &windows)?;
    let (amount, recurs) = (first.amount.minor(), first.recurs.name());
    tx.execute(insert, params![hold.id, line, month, first.description, amount, recurs, LineState::Open.name()])?;
    let reopen = "update spend_hold set state = 'open', expires_at = $2 where id = $1";
    tx.execute(reopen, params![hold.id, due.plus_secs(limits::RENEWAL_GRACE_S)])?;
    Ok(None)
}
