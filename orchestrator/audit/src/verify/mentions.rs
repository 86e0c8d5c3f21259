//! What runs can be found by: exactly what the texts of their entries say, no less and no more.

use std::collections::BTreeMap;

use purser_db::{DbError, Tx, Value, params, values};

use super::{PAGE, VerifyError};
use crate::entry::Entry;
use crate::run;

const DIFFERS: &str = "what it can be found by differs from its text";

/// What the runs of a page must be found by.
#[derive(Default)]
pub struct Mentions {
    rows: Vec<Vec<Value>>,
    /// The entry of each row.
    of: Vec<(i64, String)>,
}

/// The same of one run, each key with the first entry that asks for it.
pub struct OfRun<'a> {
    page: &'a mut Mentions,
    run: String,
    keys: BTreeMap<String, (i64, String)>,
}

impl Mentions {
    pub const fn of_run(&mut self, run: String) -> OfRun<'_> {
        OfRun { page: self, run, keys: BTreeMap::new() }
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
        let missing = self.of.iter().zip(found).filter(|(_, found)| !found).map(|(of, _)| of).min();
        match missing {
            Some((seq, id)) => Err(VerifyError::Changed { seq: *seq, id: id.clone(), what: DIFFERS }),
            None => Ok(i64::try_from(self.of.len()).unwrap_or(i64::MAX)),
        }
    }
}

impl OfRun<'_> {
    pub fn add(&mut self, seq: i64, entry: &Entry) {
        for key in run::references(&entry.event).map(run::key) {
            if !self.keys.contains_key(key) {
                self.keys.insert(key.to_owned(), (seq, entry.id.to_string()));
            }
        }
    }

    pub fn end(self) {
        for (key, of) in self.keys {
            self.page.rows.push(values![key, self.run]);
            self.page.of.push(of);
        }
    }
}

/// Beside what the entries up to `last` say there is nothing they can be found by.
///
/// # Errors
/// The first run that has more than its text says, named by its first entry.
pub fn none_beside(tx: &mut Tx<'_>, expected: i64, last: i64) -> Result<(), VerifyError> {
    let select = "select count(*) as number from audit_event e join audit_reference r on r.event = e.id where e.seq between 1 and $1";
    if tx.query_one(select, params![last])?.get::<i64>("number")? == expected {
        return Ok(());
    }
    // Somebody added one. Which run it is at takes a look at all of them, and is worth it.
    let mut numbers: BTreeMap<String, i64> = BTreeMap::new();
    for row in tx.query("select event, count(*) as number from audit_reference group by event", params![])? {
        numbers.insert(row.get("event")?, row.get("number")?);
    }
    let mut after = 0_i64;
    while after < last {
        let rows = tx.query("select id, seq, entries, body from audit_event where seq > $1 order by seq limit $2", params![after, PAGE])?;
        for row in &rows {
            let (id, entries): (String, _) = (row.get("id")?, run::entries(row)?);
            let mut keys: Vec<&str> = entries.iter().flat_map(|(_, entry)| run::references(&entry.event)).map(run::key).collect();
            keys.sort_unstable();
            keys.dedup();
            if numbers.get(&id).copied() != i64::try_from(keys.len()).ok() {
                return Err(VerifyError::Changed { seq: run::first_number(row)?, id, what: DIFFERS });
            }
            after = row.get("seq")?;
        }
    }
    Err(VerifyError::Changed { seq: 0, id: String::new(), what: DIFFERS })
}
