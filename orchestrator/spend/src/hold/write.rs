//! The rows of new holds.

use purser_db::{DbError, Tx, Value, params};
use purser_values::Month;
use serde_json::json;

use super::place::Placed;
use super::{Hold, LineState};
use crate::ceiling::{self, Note};
use crate::quote::Recurs;
use crate::rate::{self, Kept};
use crate::{credit, ledger, limits, renewal, share};

/// The holds under their callers' keys, their chains, and the lines of their quotes for the first period with what they count in.
pub fn holds(tx: &mut Tx<'_>, month: Month, placed: &[Placed<'_>]) -> Result<(), DbError> {
    let insert = "insert into spend_hold (id, organisation, agent, grant_id, provider, project, resource, payment_method,
                      currency, amount, quote_id, quote_digest, state, request_key, request_digest, created_at, expires_at,
                      environment, categories, irreversible)
                  {values:text,text,text,text,text,text,text,text,text,int,text,text,text,text,text,int,int,text,text,int}
                  on conflict (agent, request_key) do nothing";
    let rows: Vec<Vec<Value>> = placed.iter().map(hold).collect();
    ledger::each_once(tx.execute_rows(insert, &rows)?, &rows)?;
    share::keep(tx, placed.iter().map(|one| (&one.hold.id, one.shares)))?;
    lines(tx, month, placed)?;
    credit::prices(tx, placed.iter().flat_map(|one| one.purchase.by_credit.iter().map(|(line, price)| (&one.hold.id, line, price))))?;
    for one in placed {
        renewal::begin(tx, &one.hold, one.purchase)?;
    }
    let mut notes = Vec::new();
    for one in placed {
        for line in &one.purchase.quote.lines {
            notes.extend(one.taking.windows.iter().map(|window| Note { hold: &one.hold.id, line: &line.id, period: "", window }));
        }
    }
    ceiling::notes(tx, notes)?;
    let mut kept = Vec::new();
    for one in placed {
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
    let who = params![id, organisation, agent, grant, provider, project, resource, payment_method];
    let Hold { quote_id, quote_digest, state, created_at, expires_at, environment, categories, irreversible, .. } = &one.hold;
    let (key, digest, state, categories) = (&one.purchase.key, one.digest, state.name(), json!(categories));
    let what = params![currency, minor, quote_id, quote_digest, state, key, digest, created_at, expires_at, environment, categories];
    [who, what, params![i64::from(*irreversible)]].concat()
}

fn lines(tx: &mut Tx<'_>, month: Month, placed: &[Placed<'_>]) -> Result<(), DbError> {
    let mut rows = Vec::with_capacity(placed.len());
    for one in placed {
        for line in &one.purchase.quote.lines {
            let description: String = line.description.chars().take(limits::TEXT_CHARS).collect();
            // A metered one has nothing to charge until use is set aside for it.
            // One that a credit pays in whole has nothing to charge either, before the next period.
            let paid = line.amount.is_zero() && one.purchase.by_credit.contains_key(&line.id);
            let state = if paid || line.recurs == Recurs::Metered { LineState::Charged } else { LineState::Open };
            let (minor, recurs, state) = (line.amount.minor(), line.recurs.name(), state.name());
            rows.push(params![one.hold.id, line.id, "", month, description, minor, recurs, state].to_vec());
        }
    }
    let insert = "insert into spend_hold_line (hold, line, period, month, description, amount, recurs, state)
                  {values:text,text,text,text,text,int,text,text}";
    tx.execute_rows(insert, &rows).map(drop)
}
