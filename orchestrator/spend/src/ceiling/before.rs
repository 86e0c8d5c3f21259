//! What a new ceiling counts that came before it: whoever sets USD 16 a month in the middle of the month means the month.
//!
//! What was charged in the running period and what is set aside now counts in its window from the start, also where that is more
//! than the ceiling: then it just leaves no room. What was in another currency and counts by no rate, or was taken while there was another zone, stays
//! where it was.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::HoldId;
use purser_values::{Currency, Env, Money, Timestamp};

use super::window::{self, Note, Window};
use super::{Rule, zone};
use crate::hold::LineState;
use crate::pot::{self, Pot as _};
use crate::quote::Recurs;

/// A line that the rule is about.
struct Line {
    hold: HoldId,
    line: String,
    period: String,
    amount: Money,
    counts: Counts,
}

enum Counts {
    /// Set aside, to be charged now or at this later moment.
    Held { at: Timestamp },
    /// Charged, less what came back.
    Captured,
}

/// Makes all that belongs to the rule's running period, or to a later one, count in it.
pub(super) fn take_over(tx: &mut Tx<'_>, env: &Env, rule: &Rule) -> Result<(), DbError> {
    let zone = zone::zone(tx, &rule.organisation)?;
    let Some(span) = rule.period.span(env.now(), &zone)? else { return Ok(()) };
    let since = span.starts.unwrap_or(Timestamp::EPOCH);
    let until = span.ends.unwrap_or(Timestamp::from_micros(i64::MAX));
    for line in lines(tx, env, rule, (since, until), &window::id(rule, &span.name))? {
        let at = match line.counts {
            Counts::Held { at } => at,
            Counts::Captured => env.now(),
        };
        let Some(target) = window::open_for(tx, env, rule, at)? else { continue };
        count(tx, env, &line, &target)?;
    }
    Ok(())
}

/// Once, however often the ceiling is set.
fn count(tx: &mut Tx<'_>, env: &Env, line: &Line, target: &Window) -> Result<(), DbError> {
    let noted = window::of_line(tx, &line.hold, &line.line, &line.period)?;
    if noted.iter().any(|window| window.id == target.id) {
        return Ok(());
    }
    let subject = line.hold.as_str();
    pot::take(tx, env, target, line.amount, subject)?;
    match line.counts {
        Counts::Captured => pot::capture(tx, env, target, line.amount, subject)?,
        Counts::Held { .. } => {
            for old in noted.iter().filter(|window| window.rule.is_over_the_same(&target.rule)) {
                let held = held_in(tx, line, old.currency())?;
                window::leave(tx, env, &line.hold, &line.line, &line.period, old, held)?;
            }
        }
    }
    window::notes(tx, [Note { hold: &line.hold, line: &line.line, period: &line.period, window: target }])
}

/// What a line that is set aside counts in a currency: its own amount, or what its kept rate made of it.
fn held_in(tx: &mut Tx<'_>, line: &Line, currency: Currency) -> Result<Money, DbError> {
    if line.amount.currency() == currency {
        return Ok(line.amount);
    }
    let select = "select case when h.currency = $4 then l.amount else k.held end as held
                  from spend_hold_line l join spend_hold h on h.id = l.hold
                  left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = $4
                  where l.hold = $1 and l.line = $2 and l.period = $3";
    let held: Option<i64> = tx.query_one(select, params![line.hold, line.line, line.period, currency])?.get("held")?;
    let lost = || DbError::Corrupt(format!("`{}` counts in {currency} by no rate", line.hold));
    held.map(|minor| Money::from_minor(minor, currency)).ok_or_else(lost)
}

/// The lines that are set aside, and those that were charged from the one moment to the other and do not count in the running window yet.
fn lines(tx: &mut Tx<'_>, env: &Env, rule: &Rule, (since, until): (Timestamp, Timestamp), running: &str) -> Result<Vec<Line>, DbError> {
    // By index, whatever the account's past: what holds something or is being charged, and what was charged in the period.
    let select = "select l.hold, l.line, l.period, l.month, coalesce(k.held, l.amount) as amount, l.recurs, l.state, h.categories,
                      n.next_at, coalesce(k.captured, c.amount - coalesce((select cast(sum(r.amount) as bigint) from spend_refund r
                          where r.charge = c.id and r.state = 'succeeded'), 0)) as kept
                  from (select id from spend_hold where organisation = $1 and state = 'open'
                        union select id from spend_hold where organisation = $1 and state = 'closing'
                        union select hold from spend_charge where organisation = $1 and state in ('begun', 'requires_action')
                        union select hold from spend_charge
                              where organisation = $1 and begun_at >= $5 and begun_at < $6 and state = 'succeeded') near
                  join spend_hold h on h.id = near.id join spend_hold_line l on l.hold = h.id
                  left join spend_charge c on c.id = l.charge and c.state = 'succeeded' and l.state = 'charged'
                  left join spend_renewal n on n.hold = l.hold and n.line = l.line and n.state = 'reserved' and l.period <> ''
                  left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = $2
                      and k.source_currency <> $2
                  where h.organisation = $1 and (h.currency = $2 or k.hold is not null)
                    and (l.state in ('open', 'charging') or (c.begun_at >= $5 and c.begun_at < $6))
                    and (l.state <> 'charged' or not exists (select 1 from spend_line_window w
                          where w.hold = l.hold and w.line = l.line and w.period = l.period and w.ceiling = $7))
                    and case $3 when 'project' then h.project = $4
                                when 'environment' then h.project || '/' || h.environment = $4
                                when 'provider' then h.provider = $4
                                when 'agent' then h.agent = $4 or exists (select 1 from spend_hold_share s where s.hold = h.id and s.agent = $4)
                                when 'grant' then h.grant_id = $4 or exists (select 1 from spend_hold_share s where s.hold = h.id and s.grant_id = $4)
                                else 1 = 1 end
                  order by l.hold, l.line, l.period";
    let currency = rule.amount.currency();
    let rows = tx.query(select, params![rule.organisation, currency, rule.scope.name(), rule.subject, since, until, running])?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let categories: Vec<String> = row.json("categories")?;
        if rule.scope == super::Scope::Category && !categories.contains(&rule.subject) {
            continue;
        }
        lines.extend(line(&row, env, currency, since)?);
    }
    Ok(lines)
}

/// Use that accrued in an earlier month counts there, whenever it is charged.
fn line(row: &Row, env: &Env, currency: Currency, since: Timestamp) -> Result<Option<Line>, DbError> {
    let (recurs, month): (Recurs, purser_values::Month) = (row.parse("recurs")?, row.parse("month")?);
    if recurs == Recurs::Metered && month < since.month() {
        return Ok(None);
    }
    let captured = row.parse::<LineState>("state")? == LineState::Charged;
    let minor = if captured { row.get::<Option<i64>>("kept")?.unwrap_or_default() } else { row.get("amount")? };
    let due = row.get::<Option<Timestamp>>("next_at")?.unwrap_or(env.now());
    let counts = if captured { Counts::Captured } else { Counts::Held { at: due.max(env.now()) } };
    let (hold, line, period) = (row.parse("hold")?, row.get("line")?, row.get("period")?);
    Ok(Some(Line { hold, line, period, amount: Money::from_minor(minor, currency), counts }))
}
