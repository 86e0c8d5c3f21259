//! Reads what the needs of a write meet: a statement for each table, whatever the number of purchases.

use std::collections::{BTreeMap, BTreeSet};

use purser_db::{DbError, Row, Tx, Value, params};
use purser_values::Money;
use purser_values::id::GrantId;

use super::{BookKey, Ceiling, Need, Reach, Room, RuleKey, Slot, WindowKey, window_key};
use crate::book::Book;
use crate::calendar::Zone;
use crate::ceiling::{self, Window};
use crate::pot::Pot as _;
use crate::rate;
use crate::reconcile;
use crate::spender::Spender;
use crate::total::Total;

const BALANCES: &str = "select r.n, a.balance from {rows:text} join ledger_account a on a.id = r.c1";
/// In the order of their names, so that two nodes never wait for each other.
const LOCKED: &str = "select r.n, a.balance from {rows:text} join ledger_account a on a.id = r.c1 order by a.id {lock:a}";

impl Room {
    /// What the needs meet, its rows kept for this write.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(tx: &mut Tx<'_>, needs: &[Need<'_>]) -> Result<Self, DbError> {
        Self::read(tx, needs, LOCKED)
    }

    /// The same for those who only look.
    ///
    /// # Errors
    /// When the store fails.
    pub fn look(tx: &mut Tx<'_>, needs: &[Need<'_>]) -> Result<Self, DbError> {
        Self::read(tx, needs, BALANCES)
    }

    fn read(tx: &mut Tx<'_>, needs: &[Need<'_>], balances: &'static str) -> Result<Self, DbError> {
        let mut room = Self { stopped: reconcile::stopped(tx)?, ..Self::default() };
        room.load_books(tx, needs)?;
        let whole: Vec<&Need<'_>> = needs.iter().filter(|need| need.reach == Reach::All).collect();
        room.load_totals(tx, &whole)?;
        room.load_windows(tx, &whole)?;
        room.load_balances(tx, balances)?;
        if room.mixes(needs) {
            room.rates = rate::load(tx, &needs.iter().map(|need| need.facts.organisation).collect())?;
        }
        Ok(room)
    }

    /// Whether anything may have to be converted: most writes know one currency, and read no rates.
    fn mixes(&self, needs: &[Need<'_>]) -> bool {
        let slots = self.slots.iter().map(|slot| slot.ceiling.currency());
        let mut met = slots.chain(self.rules.values().flatten().map(|rule| rule.amount.currency()));
        met.any(|currency| needs.iter().any(|need| need.currency != currency))
    }

    fn add(&mut self, ceiling: Ceiling, is_new: bool) -> usize {
        let left = ceiling.ceiling().minor();
        self.slots.push(Slot { ceiling, is_new, left });
        self.slots.len() - 1
    }

    /// The books that are open, and for the others the caps that they would be opened with.
    fn load_books(&mut self, tx: &mut Tx<'_>, needs: &[Need<'_>]) -> Result<(), DbError> {
        let keys: Vec<BookKey> = needs.iter().flat_map(Need::books).collect::<BTreeSet<_>>().into_iter().collect();
        let select = "select r.n, b.cap as amount, b.currency from {rows:text,text,text,text} join spend_book b
                      on b.agent = r.c1 and b.provider = r.c2 and b.month = r.c3 and b.organisation = r.c4";
        let rows: Vec<Vec<Value>> =
            keys.iter().map(|(agent, provider, month, organisation)| params![agent, provider, month, organisation].to_vec()).collect();
        let open = by_place(&tx.query_rows(select, &rows)?, amount)?;
        let closed: Vec<usize> = (0..keys.len()).filter(|n| !open.contains_key(n)).collect();
        let select = "select r.n, c.amount, c.currency, c.provider from {rows:text,text,text} join spend_cap c
                      on c.agent = r.c1 and c.provider in (r.c2, '') and c.organisation = r.c3";
        let rows: Vec<Vec<Value>> = closed
            .iter()
            .map(|n| &keys[*n])
            .map(|(agent, provider, _, organisation)| params![agent, provider, organisation].to_vec())
            .collect();
        let mut caps: BTreeMap<usize, Money> = BTreeMap::new();
        for row in tx.query_rows(select, &rows)? {
            let n = closed[place(&row)?];
            // The provider's own cap comes before the agent's.
            if row.get::<String>("provider")?.is_empty() && caps.contains_key(&n) {
                continue;
            }
            caps.insert(n, amount(&row)?);
        }
        for (n, key) in keys.into_iter().enumerate() {
            let (cap, is_new) = match (open.get(&n), caps.get(&n)) {
                (Some(cap), _) => (*cap, false),
                (None, Some(cap)) => (*cap, true),
                (None, None) => {
                    self.books.insert(key, None);
                    continue;
                }
            };
            let (agent, provider, month, organisation) = key.clone();
            let slot = self.add(Ceiling::Month(Book { spender: Spender { organisation, agent }, provider, month, cap }), is_new);
            self.books.insert(key, Some(slot));
        }
        Ok(())
    }

    fn load_totals(&mut self, tx: &mut Tx<'_>, needs: &[&Need<'_>]) -> Result<(), DbError> {
        let grants: BTreeMap<&GrantId, (Money, &Need<'_>)> =
            needs.iter().flat_map(|need| need.totals().map(move |(grant, most)| (grant, (most, *need)))).collect();
        let rows: Vec<Vec<Value>> = grants.keys().map(|grant| params![grant].to_vec()).collect();
        let select = "select r.n, t.amount, t.currency from {rows:text} join spend_total t on t.grant_id = r.c1";
        let open = by_place(&tx.query_rows(select, &rows)?, amount)?;
        for (n, (grant, (most, need))) in grants.into_iter().enumerate() {
            let kept = open.get(&n).copied();
            let total = Total { grant: grant.clone(), organisation: need.facts.organisation.clone(), amount: kept.unwrap_or(most) };
            let slot = self.add(Ceiling::Life(total), kept.is_none());
            self.totals.insert(grant.clone(), slot);
        }
        Ok(())
    }

    /// The ceilings that apply, and the periods in which they count.
    fn load_windows(&mut self, tx: &mut Tx<'_>, needs: &[&Need<'_>]) -> Result<(), DbError> {
        let keys: Vec<RuleKey> = needs.iter().flat_map(|need| need.rules()).collect::<BTreeSet<_>>().into_iter().collect();
        self.rules = ceiling::rules_at(tx, &keys)?;
        if self.rules.is_empty() {
            return Ok(());
        }
        let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
        let mut wanted: BTreeMap<String, (Window, Vec<WindowKey>)> = BTreeMap::new();
        for need in needs {
            for rule in need.rules().iter().filter_map(|key| self.rules.get(key)).flatten() {
                let zone = match zones.get(rule.organisation.as_str()) {
                    Some(zone) => zone.clone(),
                    None => zones.entry(rule.organisation.to_string()).or_insert(ceiling::zone(tx, &rule.organisation)?).clone(),
                };
                if let Some(window) = Window::at(rule, need.at, &zone)? {
                    wanted.entry(window.id.clone()).or_insert((window, Vec::new())).1.push(window_key(rule, need));
                }
            }
        }
        let rows: Vec<Vec<Value>> = wanted.keys().map(|id| params![id].to_vec()).collect();
        let select = "select r.n, w.id, w.organisation, w.scope, w.subject, w.period, w.amount, w.currency, w.ends
                      from {rows:text} join spend_ceiling_window w on w.id = r.c1";
        let mut open = by_place(&tx.query_rows(select, &rows)?, Window::from_row)?;
        for (n, (window, places)) in wanted.into_values().enumerate() {
            let kept = open.remove(&n);
            let is_new = kept.is_none();
            let slot = self.add(Ceiling::Window(kept.unwrap_or(window)), is_new);
            self.windows.extend(places.into_iter().map(|place| (place, slot)));
        }
        Ok(())
    }

    /// What is left in those that were used before.
    fn load_balances(&mut self, tx: &mut Tx<'_>, select: &'static str) -> Result<(), DbError> {
        let mut used: Vec<(String, usize)> = Vec::new();
        for (slot, found) in self.slots.iter().enumerate().filter(|(_, found)| !found.is_new) {
            used.push((found.ceiling.account("room"), slot));
        }
        used.sort_unstable();
        let rows: Vec<Vec<Value>> = used.iter().map(|(account, _)| params![account].to_vec()).collect();
        let balances = by_place(&tx.query_rows(select, &rows)?, |row| row.get::<i64>("balance"))?;
        for (n, (account, slot)) in used.into_iter().enumerate() {
            let missing = || DbError::Corrupt(format!("there is no ledger account `{account}`"));
            self.slots[slot].left = *balances.get(&n).ok_or_else(missing)?;
        }
        Ok(())
    }
}

/// The answers by the place of the row that asked.
pub(crate) fn by_place<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, DbError>) -> Result<BTreeMap<usize, T>, DbError> {
    rows.iter().map(|row| Ok((place(row)?, read(row)?))).collect()
}

pub(crate) fn place(row: &Row) -> Result<usize, DbError> {
    usize::try_from(row.get::<i64>("n")?).map_err(|e| DbError::Corrupt(e.to_string()))
}

fn amount(row: &Row) -> Result<Money, DbError> {
    Ok(Money::from_minor(row.get("amount")?, row.parse("currency")?))
}
