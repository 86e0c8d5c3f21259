//! One period of one ceiling as a ledger account, and which lines count in it.

use purser_db::{DbError, Row, Tx, params, values};
use purser_values::id::HoldId;
use purser_values::{Currency, Env, Money, Timestamp};

use super::{CeilingError, Rule, before, read, zone};
use crate::calendar::Zone;
use crate::hold::{HeldLine, Hold};
use crate::ledger;
use crate::pot::{self, Pot};
use crate::rate;
use crate::writes::{Must, Writes};

#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub id: String,
    pub rule: Rule,
    /// The first moment after it; absent for a ceiling that never begins anew.
    pub ends: Option<Timestamp>,
}

impl Pot for Window {
    fn account(&self, part: &str) -> String {
        format!("ceiling/{}/{part}", self.id)
    }

    fn ceiling(&self) -> Money {
        self.rule.amount
    }
}

impl Window {
    /// The rule's window at a moment; `None` for a rule that looks at each purchase by itself.
    pub fn at(rule: &Rule, at: Timestamp, zone: &Zone) -> Result<Option<Self>, DbError> {
        let span = rule.period.span(at, zone)?;
        Ok(span.map(|span| Self { id: id(rule, &span.name), rule: rule.clone(), ends: span.ends }))
    }

    pub fn from_row(row: &Row) -> Result<Self, DbError> {
        let currency: Currency = row.parse("currency")?;
        Ok(Self {
            id: row.get("id")?,
            rule: Rule {
                organisation: row.parse("organisation")?,
                scope: row.parse("scope")?,
                subject: row.get("subject")?,
                period: row.parse("period")?,
                amount: Money::from_minor(row.get("amount")?, currency),
            },
            ends: row.get("ends")?,
        })
    }
}

/// No part but the environment's own holds a slash, so two windows never share an id.
pub(super) fn id(rule: &Rule, span: &str) -> String {
    format!("{}/{}/{}/{}/{span}", rule.organisation, rule.scope.name(), rule.subject, rule.period)
}

pub(super) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<Window>, DbError> {
    tx.query_opt("select * from spend_ceiling_window where id = $1", params![id])?.as_ref().map(Window::from_row).transpose()
}

/// The rule's window at a moment, opened at its first use; `None` for a rule that looks at each purchase by itself.
pub(super) fn open_for(tx: &mut Tx<'_>, env: &Env, rule: &Rule, at: Timestamp) -> Result<Option<Window>, DbError> {
    let zone = zone::zone(tx, &rule.organisation)?;
    let Some(window) = Window::at(rule, at, &zone)? else { return Ok(None) };
    if let Some(window) = find(tx, &window.id)? {
        return Ok(Some(window));
    }
    let insert = "insert into spend_ceiling_window (id, organisation, scope, subject, period, amount, currency, ends)
                  values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing";
    let (scope, period, amount) = (rule.scope.name(), rule.period.name(), rule.amount);
    let values = params![window.id, rule.organisation, scope, rule.subject, period, amount.minor(), amount.currency(), window.ends];
    ledger::once(tx.execute(insert, values)?)?;
    pot::open(tx, env, &window, &rule.subject)?;
    Ok(Some(window))
}

/// A changed ceiling moves the room of the windows that are not over.
pub(super) fn follow(tx: &mut Tx<'_>, env: &Env, rule: &Rule) -> Result<(), CeilingError> {
    let select = "select * from spend_ceiling_window
                  where organisation = $1 and scope = $2 and subject = $3 and period = $4 and (ends is null or ends > $5) order by id";
    let values = params![rule.organisation, rule.scope.name(), rule.subject, rule.period.name(), env.now()];
    for row in tx.query(select, values)? {
        let window = Window::from_row(&row)?;
        if window.currency() != rule.amount.currency() {
            return Err(CeilingError::Currency { have: window.currency(), asked: rule.amount.currency() });
        }
        pot::resize(tx, env, &window, rule.amount, &rule.subject)?;
        tx.execute("update spend_ceiling_window set amount = $2 where id = $1", params![window.id, rule.amount.minor()])?;
    }
    Ok(())
}

/// A line of a hold, and a window that it counts in.
pub(crate) struct Note<'a> {
    pub hold: &'a HoldId,
    pub line: &'a str,
    pub period: &'a str,
    pub window: &'a Window,
}

/// Writes down which lines count in which windows.
pub(crate) fn notes<'a>(tx: &mut Tx<'_>, notes: impl IntoIterator<Item = Note<'a>>) -> Result<(), DbError> {
    let mut writes = Writes::default();
    add_notes(&mut writes, notes);
    writes.run(tx)
}

/// The same with what else a write changes.
pub(crate) fn add_notes<'a>(writes: &mut Writes, notes: impl IntoIterator<Item = Note<'a>>) {
    let insert = "insert into spend_line_window (hold, line, period, ceiling) {values:text,text,text,text}";
    let row = |Note { hold, line, period, window }: Note<'_>| values![hold, line, period, window.id];
    writes.add(Must::Nothing, insert, notes.into_iter().map(row).collect());
}

/// The windows that a line counts in.
pub(crate) fn of_line(tx: &mut Tx<'_>, hold: &HoldId, line: &str, period: &str) -> Result<Vec<Window>, DbError> {
    let select = "select w.* from spend_line_window l join spend_ceiling_window w on w.id = l.ceiling
                  where l.hold = $1 and l.line = $2 and l.period = $3 order by w.id";
    tx.query(select, params![hold, line, period])?.iter().map(Window::from_row).collect()
}

/// Makes the line count in the windows of this moment. Answers the window that has no room; run it in a savepoint.
///
/// INVARIANT (ceiling): what was held on Monday and is charged on Tuesday is Tuesday's. A ceiling that was taken away since is left.
pub(crate) fn bring_to_now(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine) -> Result<Option<Window>, DbError> {
    let windows = of_line(tx, &hold.id, &line.line, &line.period)?;
    let kept = if windows.is_empty() { Vec::new() } else { rate::of_line(tx, &hold.id, &line.line, &line.period)? };
    // What a line counts in a currency, by the rate that it was set aside by.
    let counted = |currency: Currency| {
        let kept = || kept.iter().find(|kept| kept.rate.to == currency).map(|kept| kept.held);
        if currency == line.amount.currency() { Some(line.amount) } else { kept() }
    };
    for old in windows {
        let rule = &old.rule;
        let now = match read::find(tx, &rule.organisation, rule.scope, &rule.subject, rule.period)? {
            Some(rule) => open_for(tx, env, &rule, env.now())?,
            None => None,
        };
        if now.as_ref().is_some_and(|now| now.id == old.id) {
            continue;
        }
        if let Some(now) = &now {
            let Some(amount) = counted(now.currency()) else { return Ok(Some(now.clone())) };
            if !pot::reserve(tx, env, now, amount, hold.id.as_str())? {
                return Ok(Some(now.clone()));
            }
            notes(tx, [Note { hold: &hold.id, line: &line.line, period: &line.period, window: now }])?;
        }
        let lost = || DbError::Corrupt(format!("`{}` counts against `{}` by no rate", hold.id, old.id));
        let held = counted(old.currency()).ok_or_else(lost)?;
        leave(tx, env, &hold.id, &line.line, &line.period, &old, held)?;
    }
    Ok(None)
}

/// A line that is set aside counts in a window no longer. The amount is what it counts there.
pub(super) fn leave(
    tx: &mut Tx<'_>,
    env: &Env,
    hold: &HoldId,
    line: &str,
    period: &str,
    window: &Window,
    amount: Money,
) -> Result<(), DbError> {
    pot::release(tx, env, window, amount, hold.as_str())?;
    let leave = "delete from spend_line_window where hold = $1 and line = $2 and period = $3 and ceiling = $4";
    tx.execute(leave, params![hold, line, period, window.id]).map(drop)
}

/// In another zone the running window ends at another moment; what was charged in it counts, whatever day it was there.
pub(super) fn rezone(tx: &mut Tx<'_>, env: &Env, rule: &Rule) -> Result<(), DbError> {
    let zone = zone::zone(tx, &rule.organisation)?;
    if let Some(window) = Window::at(rule, env.now(), &zone)? {
        tx.execute("update spend_ceiling_window set ends = $2 where id = $1", params![window.id, window.ends])?;
    }
    before::take_over(tx, env, rule)
}
