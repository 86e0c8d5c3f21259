//! The rows of new holds.

use purser_db::{DbError, Tx, Value, values};
use purser_values::Month;
use serde_json::json;

use super::place::Placed;
use super::{Hold, LineState};
use crate::ceiling::{self, Note};
use crate::quote::Recurs;
use crate::rate::{self, Kept};
use crate::writes::{Must, Writes};
use crate::{credit, limits, renewal, share};

/// The holds under their callers' keys, their chains, and the lines of their quotes for the first period with what they count in.
pub fn holds(writes: &mut Writes, month: Month, placed: &[Placed<'_>]) {
    let insert = "insert into spend_hold (id, organisation, agent, grant_id, provider, project, resource, payment_method,
                      currency, amount, quote_id, quote_digest, state, request_key, request_digest, created_at, expires_at,
                      environment, categories, irreversible, alone)
                  {values:text,text,text,text,text,text,text,text,text,int,text,text,text,text,text,int,int,text,text,int,int}
                  on conflict (agent, request_key) do nothing";
    writes.add(Must::EachOnce, insert, placed.iter().map(hold).collect());
    share::keep(writes, placed.iter().map(|one| (&one.hold.id, one.shares)));
    lines(writes, month, placed);
    let mut notes = Vec::new();
    for one in placed {
        for line in &one.purchase.quote.lines {
            notes.extend(one.taking.windows.iter().map(|window| Note { hold: &one.hold.id, line: &line.id, period: "", window }));
        }
    }
    ceiling::add_notes(writes, notes);
}

/// What few of them have besides: lines that a credit pays, and rates that they count by.
pub fn besides(tx: &mut Tx<'_>, placed: &[Placed<'_>]) -> Result<(), DbError> {
    credit::prices(tx, placed.iter().flat_map(|one| one.purchase.by_credit.iter().map(|(line, price)| (&one.hold.id, line, price))))?;
    let mut kept = Vec::new();
    for one in placed {
        renewal::begin(tx, &one.hold, one.purchase)?;
        for line in &one.purchase.quote.lines {
            let of = |rate| Kept { hold: &one.hold.id, line: &line.id, period: "", amount: line.amount, rate };
            kept.extend(one.taking.rates.iter().map(of));
        }
    }
    rate::keep(tx, kept)
}

fn hold(one: &Placed<'_>) -> Vec<Value> {
    let Hold { id, spender, grant, provider, project, resource, payment_method, amount, .. } = &one.hold;
    let (organisation, agent, currency, minor) = (&spender.organisation, &spender.agent, amount.currency(), amount.minor());
    let Hold { quote_id, quote_digest, state, created_at, expires_at, environment, categories, irreversible, .. } = &one.hold;
    let (key, digest, state, categories) = (&one.purchase.key, one.digest, state.name(), json!(categories));
    let mut row = values![id, organisation, agent, grant, provider, project, resource, payment_method];
    row.extend(values![currency, minor, quote_id, quote_digest, state, key, digest, created_at, expires_at, environment, categories]);
    row.extend(values![*irreversible, share::is_alone(one.shares)]);
    row
}

fn lines(writes: &mut Writes, month: Month, placed: &[Placed<'_>]) {
    let mut rows = Vec::with_capacity(placed.len());
    for one in placed {
        for line in &one.purchase.quote.lines {
            let description: String = line.description.chars().take(limits::TEXT_CHARS).collect();
            // A metered one has nothing to charge until use is set aside for it.
            // One that a credit pays in whole has nothing to charge either, before the next period.
            let paid = line.amount.is_zero() && one.purchase.by_credit.contains_key(&line.id);
            let state = if paid || line.recurs == Recurs::Metered { LineState::Charged } else { LineState::Open };
            let (minor, recurs, state) = (line.amount.minor(), line.recurs.name(), state.name());
            rows.push(values![one.hold.id, line.id, "", month, description, minor, recurs, state]);
        }
    }
    let insert = "insert into spend_hold_line (hold, line, period, month, description, amount, recurs, state)
                  {values:text,text,text,text,text,int,text,text}";
    writes.add(Must::Nothing, insert, rows);
}
