//! Writes what was taken: a statement for each table, whatever the number of purchases.

use std::collections::BTreeMap;

use purser_db::{DbError, Value, values};
use purser_values::Env;

use super::{Ceiling, Room, Taken};
use crate::ledger::{self, Guard, Movement, Reason};
use crate::pot::Pot as _;
use crate::writes::{Must, Writes};

impl Room {
    /// Opens what was met for the first time and moves what was taken from room to held.
    ///
    /// # Errors
    /// When an amount is not one that can be moved; and when these are run, if the room is gone, which cannot be while its rows are locked.
    pub fn write(mut self, writes: &mut Writes, env: &Env) -> Result<(), DbError> {
        // In the order of their keys: rows that follow each other go to the same page.
        self.taken.sort_by(|a, b| a.subject.cmp(&b.subject));
        let mut used: Vec<usize> = self.taken.iter().map(|taken| taken.slot).collect();
        used.sort_unstable();
        used.dedup();
        let fresh: Vec<&Ceiling> =
            used.iter().map(|slot| &self.slots[*slot]).filter(|slot| slot.is_new).map(|slot| &slot.ceiling).collect();
        open(writes, env, &fresh)?;
        let names: BTreeMap<usize, [String; 2]> =
            used.into_iter().map(|slot| (slot, ["room", "held"].map(|part| self.slots[slot].ceiling.account(part)))).collect();
        let movements: Vec<Movement<'_>> = self
            .taken
            .iter()
            .filter_map(|Taken { slot, minor, subject }| {
                // What a credit pays in whole takes no room.
                let [source, target] = names.get(slot).filter(|_| *minor != 0)?;
                let amount = purser_values::Money::from_minor(*minor, self.slots[*slot].ceiling.currency());
                Some(Movement { reason: Reason::Hold, source, target, amount, subject, guard: Guard::Covered })
            })
            .collect();
        ledger::transfer_all(writes, env, &movements)
    }
}

/// The rows and accounts of ceilings that nobody has used before.
fn open(writes: &mut Writes, env: &Env, fresh: &[&Ceiling]) -> Result<(), DbError> {
    let (mut books, mut totals, mut windows): (Vec<Vec<Value>>, Vec<Vec<Value>>, Vec<Vec<Value>>) = Default::default();
    if fresh.is_empty() {
        return Ok(());
    }
    for ceiling in fresh {
        let (currency, minor) = (ceiling.currency(), ceiling.ceiling().minor());
        match ceiling {
            Ceiling::Month(book) => {
                let (spender, provider, month) = (&book.spender, &book.provider, book.month);
                books.push(values![spender.agent, provider, month, spender.organisation, currency, minor]);
            }
            Ceiling::Life(total) => totals.push(values![total.grant, total.organisation, currency, minor]),
            Ceiling::Window(window) => {
                let rule = &window.rule;
                let (scope, period) = (rule.scope.name(), rule.period.name());
                windows.push(values![window.id, rule.organisation, scope, rule.subject, period, minor, currency, window.ends]);
            }
        }
    }
    let insert = "insert into spend_book (agent, provider, month, organisation, currency, cap)
                  {values:text,text,text,text,text,int} on conflict (agent, provider, month) do nothing";
    writes.add(Must::EachOnce, insert, books);
    let insert = "insert into spend_total (grant_id, organisation, currency, amount) {values:text,text,text,int}
                  on conflict (grant_id) do nothing";
    writes.add(Must::EachOnce, insert, totals);
    let insert = "insert into spend_ceiling_window (id, organisation, scope, subject, period, amount, currency, ends)
                  {values:text,text,text,text,text,int,text,int} on conflict (id) do nothing";
    writes.add(Must::EachOnce, insert, windows);

    let parts = ["granted", "room", "held", "captured"];
    let accounts: Vec<_> = fresh.iter().flat_map(|ceiling| parts.map(|part| (ceiling.account(part), ceiling.currency()))).collect();
    ledger::open_all(writes, &accounts);
    let names: Vec<[String; 2]> = fresh.iter().map(|ceiling| ["granted", "room"].map(|part| ceiling.account(part))).collect();
    let movements: Vec<Movement<'_>> = fresh
        .iter()
        .zip(&names)
        .map(|(ceiling, [source, target])| {
            let subject = match ceiling {
                Ceiling::Month(book) => book.spender.agent.as_str(),
                Ceiling::Life(total) => total.grant.as_str(),
                Ceiling::Window(window) => &window.rule.subject,
            };
            Movement { reason: Reason::Cap, source, target, amount: ceiling.ceiling(), subject, guard: Guard::Free }
        })
        .collect();
    ledger::transfer_all(writes, env, &movements)
}
