//! Who a purchase counts against: the agent that buys, and every agent that its grant was derived through.
//!
//! INVARIANT (chain-pays): a purchase takes room in the month's book of each of them and in the total of each of their grants,
//! in one write or not at all; whatever is given back or captured is so in all of them.

use purser_db::{DbError, Tx, params, values};
use purser_values::id::{AgentId, GrantId, HoldId};
use purser_values::{Env, Money, Month};

use crate::book::{self, Book};
use crate::ceiling;
use crate::hold::{HeldLine, Hold};
use crate::pot::{self, Pot as _};
use crate::rate::{self, KeptRate};
use crate::room::{Ceiling, Full, Need, Room, Taking};
use crate::spender::Spender;
use crate::total;
use crate::writes::{Must, Writes};

/// One agent of the chain, and the grant it acts under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub agent: AgentId,
    pub grant: GrantId,
    /// The grant's ceiling over its whole life, if it has one.
    pub total: Option<Money>,
}

/// A line, and the month that it counts in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'a> {
    pub line: &'a str,
    pub period: &'a str,
    pub month: Month,
}

impl<'a> Counted<'a> {
    fn of(line: &'a HeldLine) -> Self {
        Self { line: &line.line, period: &line.period, month: line.month }
    }
}

/// Whether the hold's own row says all there is to say of who pays.
pub(crate) fn is_alone(shares: &[Share]) -> bool {
    matches!(shares, [Share { total: None, .. }])
}

/// The chains of new holds that are not [alone](is_alone).
pub(crate) fn keep<'a>(writes: &mut Writes, holds: impl IntoIterator<Item = (&'a HoldId, &'a [Share])>) {
    let mut rows = Vec::new();
    for (hold, shares) in holds.into_iter().filter(|(_, shares)| !is_alone(shares)) {
        for (depth, share) in (0_i64..).zip(shares) {
            let (minor, currency) = share.total.map(|m| (m.minor(), m.currency())).unzip();
            rows.push(values![hold, depth, share.agent, share.grant, minor, currency]);
        }
    }
    let insert = "insert into spend_hold_share (hold, depth, agent, grant_id, total, currency) {values:text,int,text,text,int,text}";
    writes.add(Must::Nothing, insert, rows);
}

/// The chain of a hold, the agent that bought first.
pub(crate) fn of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<Vec<Share>, DbError> {
    let select = "select agent, grant_id, total, currency, depth from spend_hold_share where hold = $1
                  union all select agent, grant_id, null, null, 0 from spend_hold where id = $1 and alone = 1 order by depth";
    let rows = tx.query(select, params![hold])?;
    rows.iter()
        .map(|row| {
            let total = match (row.get::<Option<i64>>("total")?, row.parse_opt("currency")?) {
                (Some(minor), Some(currency)) => Some(Money::from_minor(minor, currency)),
                _ => None,
            };
            Ok(Share { agent: row.parse("agent")?, grant: row.parse("grant_id")?, total })
        })
        .collect()
}

/// Takes room for the amount in all that a purchase counts against, or in nothing.
pub(crate) fn reserve(tx: &mut Tx<'_>, env: &Env, need: &Need<'_>, amount: Money, subject: &str) -> Result<Result<Taking, Full>, DbError> {
    let mut room = Room::load(tx, std::slice::from_ref(need))?;
    match room.take(need, &[amount], subject) {
        Ok(taking) => {
            let mut writes = Writes::default();
            room.write(&mut writes, env)?;
            writes.run(tx)?;
            Ok(Ok(taking))
        }
        Err(full) => Ok(Err(full)),
    }
}

/// The books that a line counts in, the buyer's first.
pub(crate) fn books(tx: &mut Tx<'_>, hold: &Hold, month: Month) -> Result<Vec<Book>, DbError> {
    let mut books = Vec::new();
    for share in of_hold(tx, &hold.id)? {
        let payer = Spender { organisation: hold.spender.organisation.clone(), agent: share.agent };
        books.push(book::find(tx, &payer, &hold.provider, month)?.ok_or(DbError::NoRow)?);
    }
    Ok(books)
}

/// Every ceiling that a line counts against.
fn ceilings(tx: &mut Tx<'_>, hold: &Hold, line: &Counted<'_>) -> Result<Vec<Ceiling>, DbError> {
    let mut all: Vec<Ceiling> = books(tx, hold, line.month)?.into_iter().map(Ceiling::Month).collect();
    for share in of_hold(tx, &hold.id)?.into_iter().filter(|share| share.total.is_some()) {
        all.push(Ceiling::Life(total::find(tx, &share.grant)?.ok_or(DbError::NoRow)?));
    }
    all.extend(ceiling::of_line(tx, &hold.id, line.line, line.period)?.into_iter().map(Ceiling::Window));
    Ok(all)
}

/// The rates that a line counts by in ceilings of other currencies. Where all are in its own, nothing is read.
fn kept(tx: &mut Tx<'_>, hold: &Hold, line: &Counted<'_>, ceilings: &[Ceiling]) -> Result<Vec<KeptRate>, DbError> {
    if ceilings.iter().all(|ceiling| ceiling.currency() == hold.amount.currency()) {
        return Ok(Vec::new());
    }
    rate::of_line(tx, &hold.id, line.line, line.period)
}

/// What a line counts by in a ceiling; `None` in its own currency.
fn by<'a>(kept: &'a [KeptRate], ceiling: &Ceiling, hold: &Hold) -> Result<Option<&'a KeptRate>, DbError> {
    if ceiling.currency() == hold.amount.currency() {
        return Ok(None);
    }
    let lost = || DbError::Corrupt(format!("`{}` counts against `{}` by no rate", hold.id, ceiling.account("…")));
    kept.iter().find(|kept| kept.rate.to == ceiling.currency()).map(Some).ok_or_else(lost)
}

/// Gives back what the line holds, in all of them.
pub(crate) fn release(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, subject: &str) -> Result<(), DbError> {
    let all = ceilings(tx, hold, &Counted::of(line))?;
    let kept = kept(tx, hold, &Counted::of(line), &all)?;
    for ceiling in &all {
        let held = by(&kept, ceiling, hold)?.map_or(line.amount, |kept| kept.held);
        pot::release(tx, env, ceiling, held, subject)?;
    }
    Ok(())
}

/// Gives back in the books of the line's month only.
pub(crate) fn release_month(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, subject: &str) -> Result<(), DbError> {
    let all: Vec<Ceiling> = books(tx, hold, line.month)?.into_iter().map(Ceiling::Month).collect();
    let kept = kept(tx, hold, &Counted::of(line), &all)?;
    for book in &all {
        let held = by(&kept, book, hold)?.map_or(line.amount, |kept| kept.held);
        pot::release(tx, env, book, held, subject)?;
    }
    Ok(())
}

/// Gives back what was captured of a line, in all of them.
pub(crate) fn give_back(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &Counted<'_>, amount: Money, subject: &str) -> Result<(), DbError> {
    let all = ceilings(tx, hold, line)?;
    let kept = kept(tx, hold, line, &all)?;
    for ceiling in &all {
        let back = by(&kept, ceiling, hold)?.map_or(Ok(amount), |kept| kept.give_back(amount).map(|(back, _)| back))?;
        pot::give_back(tx, env, ceiling, back, subject)?;
    }
    for one in &kept {
        let (_, captured) = one.give_back(amount)?;
        let paid = one.paid.checked_sub(amount).map_err(|e| DbError::Corrupt(e.to_string()))?;
        rate::write(tx, (&hold.id, line.line, line.period), captured, paid)?;
    }
    Ok(())
}

/// Captures `amount` of what the line holds, in all of them, and gives back the rest.
pub(crate) fn capture(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, amount: Money, subject: &str) -> Result<(), DbError> {
    let all = ceilings(tx, hold, &Counted::of(line))?;
    let kept = kept(tx, hold, &Counted::of(line), &all)?;
    for ceiling in &all {
        let (held, taken) = match by(&kept, ceiling, hold)? {
            Some(kept) => (kept.held, kept.take(amount)?),
            None => (line.amount, amount),
        };
        let rest = held.checked_sub(taken).map_err(|e| DbError::Corrupt(e.to_string()))?;
        pot::capture(tx, env, ceiling, taken, subject)?;
        pot::release(tx, env, ceiling, rest, subject)?;
    }
    for one in &kept {
        rate::write(tx, (&hold.id, &line.line, &line.period), one.take(amount)?, amount)?;
    }
    Ok(())
}
