//! Who a purchase counts against: the agent that buys, and every agent that its grant was derived through.
//!
//! INVARIANT (chain-pays): a purchase takes room in the month's book of each of them and in the total of each of their grants,
//! in one write or not at all; whatever is given back or captured is so in all of them.

use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, GrantId, HoldId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Env, Money, Month, Timestamp};

use crate::book::{self, Book};
use crate::ceiling::{self, Facts, Rule, Window};
use crate::hold::{HeldLine, Hold};
use crate::pot::{self, Position, Pot};
use crate::spender::Spender;
use crate::total::{self, Total};

/// One agent of the chain, and the grant it acts under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub agent: AgentId,
    pub grant: GrantId,
    /// The grant's ceiling over its whole life, if it has one.
    pub total: Option<Money>,
}

/// One ceiling that a purchase counts against.
#[derive(Clone, Debug)]
pub(crate) enum Ceiling {
    Month(Book),
    Life(Total),
    Window(Window),
}

impl Pot for Ceiling {
    fn account(&self, part: &str) -> String {
        match self {
            Self::Month(book) => book.account(part),
            Self::Life(total) => total.account(part),
            Self::Window(window) => window.account(part),
        }
    }

    fn ceiling(&self) -> Money {
        match self {
            Self::Month(book) => book.ceiling(),
            Self::Life(total) => total.ceiling(),
            Self::Window(window) => window.ceiling(),
        }
    }
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

/// Why room was not taken.
#[derive(Clone, Debug)]
pub(crate) enum Full {
    /// Nobody has set a cap for an agent of the chain.
    NoCap,
    Currency(Ceiling),
    Reached(Ceiling, Position),
    /// One purchase is more than a ceiling allows for each, or in another currency.
    Purchase(Rule),
}

/// The chain of a new hold, in its order.
pub(crate) fn keep(tx: &mut Tx<'_>, hold: &HoldId, shares: &[Share]) -> Result<(), DbError> {
    let insert = "insert into spend_hold_share (hold, depth, agent, grant_id, total, currency) values ($1, $2, $3, $4, $5, $6)";
    for (depth, share) in shares.iter().enumerate() {
        let depth = i64::try_from(depth).map_err(|e| DbError::Other(e.to_string()))?;
        let (minor, currency) = share.total.map(|m| (m.minor(), m.currency())).unzip();
        tx.execute(insert, params![hold, depth, share.agent, share.grant, minor, currency])?;
    }
    Ok(())
}

/// The chain of a hold, the agent that bought first.
pub(crate) fn of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<Vec<Share>, DbError> {
    let select = "select agent, grant_id, total, currency from spend_hold_share where hold = $1 order by depth";
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

/// Takes room for the amount in every book of the month, in every total, and in every ceiling that applies at that moment; that is the
/// order in which they refuse. Answers the ceilings' windows. Run it in a savepoint: what was taken before one is found full must not stay.
pub(crate) fn reserve(
    tx: &mut Tx<'_>,
    env: &Env,
    facts: &Facts<'_>,
    at: Timestamp,
    amount: Money,
    subject: &str,
) -> Result<Result<Vec<Window>, Full>, DbError> {
    let whose = (facts.organisation, facts.provider);
    if let Err(full) = reserve_month(tx, env, whose, facts.shares, at.month(), amount, subject)? {
        return Ok(Err(full));
    }
    for share in facts.shares {
        let Some(most) = share.total else { continue };
        let total = total::find_or_open(tx, env, facts.organisation, &share.grant, most)?;
        if let Err(full) = take(tx, env, Ceiling::Life(total), amount, subject)? {
            return Ok(Err(full));
        }
    }
    let mut windows = Vec::new();
    for rule in ceiling::that_apply(tx, facts)? {
        match ceiling::open_for(tx, env, &rule, at)? {
            None if rule.amount.currency() == amount.currency() && rule.amount.minor() >= amount.minor() => {}
            None => return Ok(Err(Full::Purchase(rule))),
            Some(window) => {
                if let Err(full) = take(tx, env, Ceiling::Window(window.clone()), amount, subject)? {
                    return Ok(Err(full));
                }
                windows.push(window);
            }
        }
    }
    Ok(Ok(windows))
}

/// Takes room in the books of a month only: for money that moves from one month to another, whose totals hold it already.
pub(crate) fn reserve_month(
    tx: &mut Tx<'_>,
    env: &Env,
    (organisation, provider): (&OrganisationId, &ProviderName),
    shares: &[Share],
    month: Month,
    amount: Money,
    subject: &str,
) -> Result<Result<(), Full>, DbError> {
    for share in shares {
        let payer = Spender { organisation: organisation.clone(), agent: share.agent.clone() };
        let Some(book) = book::find_or_open(tx, env, &payer, provider, month)? else { return Ok(Err(Full::NoCap)) };
        if let Err(full) = take(tx, env, Ceiling::Month(book), amount, subject)? {
            return Ok(Err(full));
        }
    }
    Ok(Ok(()))
}

fn take(tx: &mut Tx<'_>, env: &Env, ceiling: Ceiling, amount: Money, subject: &str) -> Result<Result<(), Full>, DbError> {
    if ceiling.currency() != amount.currency() {
        return Ok(Err(Full::Currency(ceiling)));
    }
    if pot::reserve(tx, env, &ceiling, amount, subject)? {
        return Ok(Ok(()));
    }
    let position = pot::position(tx, &ceiling)?;
    Ok(Err(Full::Reached(ceiling, position)))
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

/// Gives back what the line holds, in all of them.
pub(crate) fn release(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, amount: Money, subject: &str) -> Result<(), DbError> {
    for ceiling in ceilings(tx, hold, &Counted::of(line))? {
        pot::release(tx, env, &ceiling, amount, subject)?;
    }
    Ok(())
}

/// Gives back in the books of the line's month only.
pub(crate) fn release_month(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, subject: &str) -> Result<(), DbError> {
    for book in books(tx, hold, line.month)? {
        pot::release(tx, env, &book, line.amount, subject)?;
    }
    Ok(())
}

/// Gives back what was captured of a line, in all of them.
pub(crate) fn give_back(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &Counted<'_>, amount: Money, subject: &str) -> Result<(), DbError> {
    for ceiling in ceilings(tx, hold, line)? {
        pot::give_back(tx, env, &ceiling, amount, subject)?;
    }
    Ok(())
}

/// Captures `amount` of what the line holds, in all of them, and gives back the rest.
pub(crate) fn capture(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, amount: Money, subject: &str) -> Result<(), DbError> {
    let rest = line.amount.checked_sub(amount).map_err(|e| DbError::Corrupt(e.to_string()))?;
    for ceiling in ceilings(tx, hold, &Counted::of(line))? {
        pot::capture(tx, env, &ceiling, amount, subject)?;
        pot::release(tx, env, &ceiling, rest, subject)?;
    }
    Ok(())
}
