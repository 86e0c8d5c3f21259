//! Reads what the needs of a write meet: a statement for each table, whatever the number of purchases, and all that can be asked at
//! once in one round trip.

use std::collections::{BTreeMap, BTreeSet};

use purser_db::{DbError, Row, Statement, Tx, Value, values};
use purser_values::Money;
use purser_values::id::GrantId;

use super::{BookKey, Ceiling, Need, Reach, Room, Slot, WindowKey, window_key};
use crate::book::{self, Book};
use crate::calendar::Zone;
use crate::ceiling::{self, Place, Window};
use crate::pot::Pot as _;
use crate::rate;
use crate::reconcile;
use crate::spender::Spender;
use crate::total::{self, Total};

const BALANCES: &str = "select r.n, a.balance from {rows:text} join ledger_account a on a.id = r.c1";
/// In the order of their names, so that two nodes never wait for each other.
const LOCKED: &str = "select r.n, a.balance from {rows:text} join ledger_account a on a.id = r.c1 order by a.id {lock:a}";

/// What is asked before anything is known of the answers.
pub(crate) struct Question<'a> {
    needs: &'a [Need<'a>],
    books: Vec<BookKey>,
    totals: BTreeMap<&'a GrantId, (Money, &'a Need<'a>)>,
    places: BTreeSet<Place<'a>>,
    /// The rooms of the books and totals, opened or not.
    accounts: BTreeSet<String>,
    balances: &'static str,
}

impl<'a> Question<'a> {
    /// For those who take: the rows are kept for this write.
    pub fn to_take(needs: &'a [Need<'a>]) -> Self {
        Self::new(needs, LOCKED)
    }

    fn new(needs: &'a [Need<'a>], balances: &'static str) -> Self {
        let books: Vec<BookKey> = needs.iter().flat_map(Need::books).collect::<BTreeSet<_>>().into_iter().collect();
        let whole = || needs.iter().filter(|need| need.reach == Reach::All);
        let totals: BTreeMap<&GrantId, (Money, &Need<'_>)> =
            whole().flat_map(|need| need.totals().map(move |(grant, most)| (grant, (most, need)))).collect();
        let of_books = books.iter().map(|(agent, provider, month, _)| book::account(agent, provider, *month, "room"));
        let accounts = of_books.chain(totals.keys().map(|grant| total::account(grant, "room"))).collect();
        let mut places = BTreeSet::new();
        let mut last = None;
        for need in whole() {
            // Most purchases of a batch are an agent's that buys much.
            if last != Some(need.facts) {
                places.extend(need.rules());
            }
            last = Some(need.facts);
        }
        Self { needs, books, totals, places, accounts, balances }
    }

    /// The statements; their answers go to [`Room::of`].
    pub fn statements(&self) -> Vec<Statement> {
        let books = "select r.n, b.cap as amount, b.currency from {rows:text,text,text,text} join spend_book b
                     on b.agent = r.c1 and b.provider = r.c2 and b.month = r.c3 and b.organisation = r.c4";
        let keys = self.books.iter().map(|(agent, provider, month, organisation)| values![agent, provider, month, organisation]);
        let totals = "select r.n, t.amount, t.currency from {rows:text} join spend_total t on t.grant_id = r.c1";
        vec![
            Statement::once(reconcile::STOPPED, Vec::new()),
            Statement::rows(books, keys.collect()),
            Statement::rows(totals, self.totals.keys().map(|grant| values![grant]).collect()),
            ceiling::rules_statement(&self.places),
            Statement::rows(self.balances, self.accounts.iter().map(|account| values![account]).collect()),
        ]
    }
}

impl Room {
    /// What the needs meet, its rows kept for this write.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(tx: &mut Tx<'_>, needs: &[Need<'_>]) -> Result<Self, DbError> {
        let question = Question::to_take(needs);
        tx.by_keys();
        let answers = tx.query_all(&question.statements())?;
        Self::of(tx, &question, &answers)
    }

    /// The same for those who only look.
    ///
    /// # Errors
    /// When the store fails.
    pub fn look(tx: &mut Tx<'_>, needs: &[Need<'_>]) -> Result<Self, DbError> {
        let question = Question::new(needs, BALANCES);
        tx.by_keys();
        let answers = tx.query_all(&question.statements())?;
        Self::of(tx, &question, &answers)
    }

    /// What the answers say, and what they make necessary to ask.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(tx: &mut Tx<'_>, question: &Question<'_>, answers: &[Vec<Row>]) -> Result<Self, DbError> {
        let [stopped, books, totals, rules, balances] = answers else { return Err(DbError::NoRow) };
        let mut room = Self { stopped: reconcile::stopped_from(stopped)?, rules: ceiling::rules_from(rules)?, ..Self::default() };
        let found = by_place(balances, |row| row.get::<i64>("balance"))?;
        let accounts: BTreeMap<&str, Option<i64>> =
            question.accounts.iter().enumerate().map(|(n, account)| (account.as_str(), found.get(&n).copied())).collect();
        let left = |account: &str| accounts.get(account).copied().flatten().ok_or_else(|| missing(account));
        room.add_books(tx, &question.books, &by_place(books, amount)?, left)?;
        room.add_totals(question, &by_place(totals, amount)?, left)?;
        if !room.rules.is_empty() {
            room.load_windows(tx, question)?;
        }
        if room.mixes(question.needs) {
            room.rates = rate::load(tx, &question.needs.iter().map(|need| need.facts.organisation).collect())?;
        }
        Ok(room)
    }

    /// Whether anything may have to be converted: most writes know one currency, and read no rates.
    fn mixes(&self, needs: &[Need<'_>]) -> bool {
        let slots = self.slots.iter().map(|slot| slot.ceiling.currency());
        let mut met = slots.chain(self.rules.values().flatten().map(|rule| rule.amount.currency()));
        met.any(|currency| needs.iter().any(|need| need.currency != currency))
    }

    fn add(&mut self, ceiling: Ceiling, used: Option<i64>) -> usize {
        let left = used.unwrap_or_else(|| ceiling.ceiling().minor());
        self.slots.push(Slot { ceiling, is_new: used.is_none(), left });
        self.slots.len() - 1
    }

    /// The books that are open, and for the others the caps that they would be opened with.
    fn add_books(
        &mut self,
        tx: &mut Tx<'_>,
        keys: &[BookKey],
        open: &BTreeMap<usize, Money>,
        left: impl Fn(&str) -> Result<i64, DbError>,
    ) -> Result<(), DbError> {
        let closed: Vec<usize> = (0..keys.len()).filter(|n| !open.contains_key(n)).collect();
        let caps = caps(tx, keys, &closed)?;
        for (n, key) in keys.iter().enumerate() {
            let (agent, provider, month, organisation) = key.clone();
            let slot = match (open.get(&n), caps.get(&n)) {
                (Some(cap), _) => {
                    let used = left(&book::account(&agent, &provider, month, "room"))?;
                    Some((*cap, Some(used)))
                }
                (None, Some(cap)) => Some((*cap, None)),
                (None, None) => None,
            };
            let slot = slot.map(|(cap, used)| {
                let book = Book { spender: Spender { organisation, agent }, provider, month, cap };
                self.add(Ceiling::Month(book), used)
            });
            self.books.insert(key.clone(), slot);
        }
        Ok(())
    }

    fn add_totals(
        &mut self,
        question: &Question<'_>,
        open: &BTreeMap<usize, Money>,
        left: impl Fn(&str) -> Result<i64, DbError>,
    ) -> Result<(), DbError> {
        for (n, (grant, (most, need))) in question.totals.iter().enumerate() {
            let kept = open.get(&n).copied();
            let used = kept.map(|_| left(&total::account(grant, "room"))).transpose()?;
            let organisation = need.facts.organisation.clone();
            let total = Total { grant: (*grant).clone(), organisation, amount: kept.unwrap_or(*most) };
            let slot = self.add(Ceiling::Life(total), used);
            self.totals.insert((*grant).clone(), slot);
        }
        Ok(())
    }

    /// The periods in which the ceilings that apply count, and what is left in those that were used before.
    fn load_windows(&mut self, tx: &mut Tx<'_>, question: &Question<'_>) -> Result<(), DbError> {
        let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
        let mut wanted: BTreeMap<String, (Window, Vec<WindowKey>)> = BTreeMap::new();
        for need in question.needs.iter().filter(|need| need.reach == Reach::All) {
            for rule in self.rules_of(need) {
                let zone = match zones.get(rule.organisation.as_str()) {
                    Some(zone) => zone.clone(),
                    None => zones.entry(rule.organisation.to_string()).or_insert(ceiling::zone(tx, &rule.organisation)?).clone(),
                };
                if let Some(window) = Window::at(rule, need.at, &zone)? {
                    wanted.entry(window.id.clone()).or_insert((window, Vec::new())).1.push(window_key(rule, need));
                }
            }
        }
        let select = "select r.n, w.id, w.organisation, w.scope, w.subject, w.period, w.amount, w.currency, w.ends
                      from {rows:text} join spend_ceiling_window w on w.id = r.c1";
        // In the order of the windows' ids, which is that of their accounts' names.
        let answers = tx.query_all(&[
            Statement::rows(select, wanted.keys().map(|id| values![id]).collect()),
            Statement::rows(question.balances, wanted.values().map(|(window, _)| values![window.account("room")]).collect()),
        ])?;
        let [open, balances] = &answers[..] else { return Err(DbError::NoRow) };
        let (mut open, balances) = (by_place(open, Window::from_row)?, by_place(balances, |row| row.get::<i64>("balance"))?);
        for (n, (window, places)) in wanted.into_values().enumerate() {
            let kept = open.remove(&n);
            let used = match &kept {
                Some(window) => Some(balances.get(&n).copied().ok_or_else(|| missing(&window.account("room")))?),
                None => None,
            };
            let slot = self.add(Ceiling::Window(kept.unwrap_or(window)), used);
            self.windows.extend(places.into_iter().map(|place| (place, slot)));
        }
        Ok(())
    }
}

/// The caps that books would be opened with: the provider's own before the agent's.
fn caps(tx: &mut Tx<'_>, keys: &[BookKey], closed: &[usize]) -> Result<BTreeMap<usize, Money>, DbError> {
    let select = "select r.n, c.amount, c.currency, c.provider from {rows:text,text,text} join spend_cap c
                  on c.agent = r.c1 and c.provider in (r.c2, '') and c.organisation = r.c3";
    let wanted = closed.iter().filter_map(|n| keys.get(*n));
    let rows: Vec<Vec<Value>> = wanted.map(|(agent, provider, _, organisation)| values![agent, provider, organisation]).collect();
    let mut caps = BTreeMap::new();
    for row in tx.query_rows(select, &rows)? {
        let n = *closed.get(place(&row)?).ok_or(DbError::NoRow)?;
        if row.get::<String>("provider")?.is_empty() && caps.contains_key(&n) {
            continue;
        }
        caps.insert(n, amount(&row)?);
    }
    Ok(caps)
}

fn missing(account: &str) -> DbError {
    DbError::Corrupt(format!("there is no ledger account `{account}`"))
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
