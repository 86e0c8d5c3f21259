//! Holds and their lines, as they stand.

use std::collections::BTreeMap;

use purser_db::{DbError, Row, Statement, Tx, params, values};
use purser_values::id::{AgentId, HoldId, ResourceId};
use purser_values::{Currency, Money, Sha256Digest};

use super::{HeldLine, Hold};
use crate::room::place;
use crate::spender::Spender;

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &HoldId) -> Result<Option<Hold>, DbError> {
    tx.query_opt("select * from spend_hold where id = $1", params![id])?.as_ref().map(hold_row).transpose()
}

/// The holds that were placed for a resource, oldest first.
///
/// # Errors
/// When the store fails.
pub fn of_resource(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<Vec<Hold>, DbError> {
    tx.query("select * from spend_hold where resource = $1 order by created_at, id", params![resource])?.iter().map(hold_row).collect()
}

/// Asks for the holds that agents placed under these keys, with the digests that the keys are bound to.
pub(super) fn keys_statement(keys: &[(&AgentId, &str)]) -> Statement {
    let select = "select r.n, h.* from {rows:text,text} join spend_hold h on h.agent = r.c1 and h.request_key = r.c2";
    Statement::rows(select, keys.iter().map(|(agent, key)| values![*agent, *key]).collect())
}

/// What [`keys_statement`] answers, by key.
pub(super) fn keys_from<'a>(
    keys: &[(&'a AgentId, &'a str)],
    rows: &[Row],
) -> Result<BTreeMap<(&'a AgentId, &'a str), (Hold, Sha256Digest)>, DbError> {
    let mut found = BTreeMap::new();
    for row in rows {
        if let Some(key) = keys.get(place(row)?) {
            found.insert(*key, (hold_row(row)?, row.get("request_digest")?));
        }
    }
    Ok(found)
}

/// How many lines of holds that are not over wait to be charged or are being charged, over all organisations.
///
/// # Errors
/// When the store fails.
pub fn open_by_state(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, DbError> {
    let select = "select l.state as state, count(*) as number from spend_hold h join spend_hold_line l on l.hold = h.id
                  where h.state in ('open', 'closing') and l.state in ('open', 'charging') group by l.state order by l.state";
    tx.query(select, params![])?.iter().map(|row| Ok((row.get("state")?, row.get("number")?))).collect()
}

pub(crate) fn lines(tx: &mut Tx<'_>, hold: &Hold) -> Result<Vec<HeldLine>, DbError> {
    let select =
        "select line, period, month, description, amount, recurs, state from spend_hold_line where hold = $1 order by period, line";
    tx.query(select, params![hold.id])?.iter().map(|row| line_row(row, hold.amount.currency())).collect()
}

pub(crate) fn line_row(row: &Row, currency: Currency) -> Result<HeldLine, DbError> {
    Ok(HeldLine {
        line: row.get("line")?,
        period: row.get("period")?,
        month: row.parse("month")?,
        description: row.get("description")?,
        amount: Money::from_minor(row.get("amount")?, currency),
        recurs: row.parse("recurs")?,
        state: row.parse("state")?,
    })
}

fn hold_row(row: &Row) -> Result<Hold, DbError> {
    Ok(Hold {
        id: row.parse("id")?,
        spender: Spender { organisation: row.parse("organisation")?, agent: row.parse("agent")? },
        grant: row.parse("grant_id")?,
        provider: row.parse("provider")?,
        project: row.parse("project")?,
        environment: row.parse_opt("environment")?,
        categories: row.json("categories")?,
        resource: row.parse("resource")?,
        payment_method: row.parse("payment_method")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        quote_id: row.get("quote_id")?,
        quote_digest: row.get("quote_digest")?,
        irreversible: row.get("irreversible")?,
        state: row.parse("state")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}
