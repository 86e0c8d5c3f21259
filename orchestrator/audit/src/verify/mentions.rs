//! What entries can be found by: exactly what their texts say, no less and no more.

use std::collections::BTreeMap;

use purser_db::{DbError, Tx, Value, params, values};

use super::{PAGE, VerifyError};
use crate::entry::Entry;
use crate::store::references;

const DIFFERS: &str = "what it can be found by differs from its text";

/// What the entries of a page must be found by.
#[derive(Default)]
pub struct Mentions {
    rows: Vec<Vec<Value>>,
    /// The entry of each row.
    of: Vec<(i64, String)>,
}

impl Mentions {
    pub fn add(&mut self, seq: i64, entry: &Entry) {
        for reference in references(&entry.event) {
            self.rows.push(values![reference, entry.id]);
            self.of.push((seq, entry.id.to_string()));
        }
    }

    /// Looks each of them up by its key, and answers how many there are.
    ///
    /// # Errors
    /// The first entry that lacks one.
    pub fn check(self, tx: &mut Tx<'_>) -> Result<i64, VerifyError> {
        let select = "select r.n from {rows:text,text} join audit_reference a on a.reference = r.c1 and a.event = r.c2";
        let mut found = vec![false; self.rows.len()];
        for row in tx.query_rows(select, &self.rows)? {
            let n = usize::try_from(row.get::<i64>("n")?).map_err(|e| DbError::Corrupt(e.to_string()))?;
            found[n] = true;
        }
        match found.iter().position(|found| !found).and_then(|n| self.of.get(n)) {
            Some((seq, id)) => Err(VerifyError::Changed { seq: *seq, id: id.clone(), what: DIFFERS }),
            None => Ok(i64::try_from(self.of.len()).unwrap_or(i64::MAX)),
        }
    }
}

/// Beside what the entries up to `last` say there is nothing they can be found by.
///
/// # Errors
/// The first entry that has more than its text says.
pub fn none_beside(tx: &mut Tx<'_>, expected: i64, last: i64) -> Result<(), VerifyError> {
    let select = "select count(*) as number from audit_event e join audit_reference r on r.event = e.id where e.seq between 1 and $1";
    if tx.query_one(select, params![last])?.get::<i64>("number")? == expected {
        return Ok(());
    }
    // Somebody added one. Which entry it is at takes a look at all of them, and is worth it.
    let mut numbers: BTreeMap<String, i64> = BTreeMap::new();
    for row in tx.query("select event, count(*) as number from audit_reference group by event", params![])? {
        numbers.insert(row.get("event")?, row.get("number")?);
    }
    for after in (0..last).step_by(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
        let select = "select seq, id, body from audit_event where seq > $1 order by seq limit $2";
        for row in tx.query(select, params![after, PAGE])? {
            let (id, entry): (String, Entry) = (row.get("id")?, row.json("body")?);
            if numbers.get(&id).copied() != i64::try_from(references(&entry.event).len()).ok() {
                return Err(VerifyError::Changed { seq: row.get("seq")?, id, what: DIFFERS });
            }
        }
    }
    Err(VerifyError::Changed { seq: 0, id: String::new(), what: DIFFERS })
}
