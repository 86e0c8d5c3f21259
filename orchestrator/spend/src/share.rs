//! Who a purchase counts against: the agent that buys, and every agent that its grant was derived through.
//!
//! INVARIANT (chain-pays): a purchase takes room in the month's book of each of them and in the total of each of their grants,
//! in one write or not at all; whatever is given back or captured is so in all of them.

use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, GrantId, HoldId};
use purser_values::name::ProviderName;
use purser_values::{Env, Money, Month};

use crate::book::{self, Book};
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
}

impl Pot for Ceiling {
    fn account(&self, part: &str) -> String {
        match self {
            Self::Month(book) => book.account(part),
            Self::Life(total) => total.account(part),
        }
    }

    fn ceiling(&self) -> Money {
        match self {
            Self::Month(book) => book.ceiling(),
            Self::Life(total) => total.ceiling(),
        }
    }
}

/// Why room was not taken.
#[derive(Clone, Debug)]
pub(crate) enum Full {
    /// Nobody has set a cap for an agent of the chain.
    NoCap,
    Currency(Ceiling),
    Reached(Ceiling, Position),
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

/// Takes room for the amount in every book of the month and in every total. Run it in a savepoint: what was taken before one
/// is found full must not stay.
pub(crate) fn reserve(
    tx: &mut Tx<'_>,
    env: &Env,
    whose: (&Spender, &ProviderName),
    shares: &[Share],
    month: Month,
    amount: Money,
    subject: &str,
) -> Result<Result<(), Full>, DbError> {
    if let Err(full) = reserve_month(tx, env, whose, shares, month, amount, subject)? {
        return Ok(Err(full));
    }
    for share in shares {
        let Some(most) = share.total else { continue };
        let total = total::find_or_open(tx, env, &whose.0.organisation, &share.grant, most)?;
        if let Err(full) = take(tx, env, Ceiling::Life(total), amount, subject)? {
            return Ok(Err(full));
        }
    }
    Ok(Ok(()))
}

/// Takes room in the books of a month only: for money that moves from one month to another, whose totals hold it already.
pub(crate) fn reserve_month(
    tx: &mut Tx<'_>,
    env: &Env,
    (spender, provider): (&Spender, &ProviderName),
    shares: &[Share],
    month: Month,
    amount: Money,
    subject: &str,
) -> Result<Result<(), Full>, DbError> {
    for share in shares {
        let payer = Spender { organisation: spender.organisation.clone(), agent: share.agent.clone() };
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
fn ceilings(tx: &mut Tx<'_>, hold: &Hold, month: Month) -> Result<Vec<Ceiling>, DbError> {
    let mut all: Vec<Ceiling> = books(tx, hold, month)?.into_iter().map(Ceiling::Month).collect();
    for share in of_hold(tx, &hold.id)?.into_iter().filter(|share| share.total.is_some()) {
        all.push(Ceiling::Life(total::find(tx, &share.grant)?.ok_or(DbError::NoRow)?));
    }
    Ok(all)
}

/// Gives back what the line holds, in all of them.
pub(crate) fn release(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, amount: Money, subject: &str) -> Result<(), DbError> {
    for ceiling in ceilings(tx, hold, line.month)? {
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

/// Gives back what was captured in a month, in all of them.
pub(crate) fn give_back(tx: &mut Tx<'_>, env: &Env, hold: &Hold, month: Month, amount: Money, subject: &str) -> Result<(), DbError> {
    for ceiling in ceilings(tx, hold, month)? {
        pot::give_back(tx, env, &ceiling, amount, subject)?;
    }
    Ok(())
}

/// Captures `amount` of what the line holds, in all of them, and gives back the rest.
pub(crate) fn capture(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine, amount: Money, subject: &str) -> Result<(), DbError> {
    let rest = line.amount.checked_sub(amount).map_err(|e| DbError::Corrupt(e.to_string()))?;
    for ceiling in ceilings(tx, hold, line.month)? {
        pot::capture(tx, env, &ceiling, amount, subject)?;
        pot::release(tx, env, &ceiling, rest, subject)?;
    }
    Ok(())
}
