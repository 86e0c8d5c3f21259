//! The book of one agent at one provider in one calendar month (UTC): what it may spend, and what became of that.
//!
//! A purchase by an agent that acts through others counts in the books of all of them ([`crate::share`]).
//!
//! INVARIANT (cap): room + held + captured is the cap, and a hold takes from room only what is there. So held + captured
//! passes the cap only when a person lowers it below, and then room is negative and nothing more fits.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Currency, Env, Money, Month};

use crate::pot::{self, Pot};
use crate::spender::Spender;

#[derive(Clone, Debug)]
pub struct Book {
    pub spender: Spender,
    pub provider: ProviderName,
    pub month: Month,
    pub cap: Money,
}

impl Book {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let currency: Currency = row.parse("currency")?;
        Ok(Self {
            spender: Spender { organisation: row.parse("organisation")?, agent: row.parse("agent")? },
            provider: row.parse("provider")?,
            month: row.parse("month")?,
            cap: Money::from_minor(row.get("cap")?, currency),
        })
    }
}

impl Pot for Book {
    fn account(&self, part: &str) -> String {
        account(&self.spender.agent, &self.provider, self.month, part)
    }

    fn ceiling(&self) -> Money {
        self.cap
    }
}

/// The ledger account of a part of a book, opened or not.
pub fn account(agent: &AgentId, provider: &ProviderName, month: Month, part: &str) -> String {
    format!("cap/{agent}/{provider}/{month}/{part}")
}

/// The book if it was opened already.
pub fn find(tx: &mut Tx<'_>, spender: &Spender, provider: &ProviderName, month: Month) -> Result<Option<Book>, DbError> {
    let select = "select organisation, agent, provider, month, currency, cap from spend_book
                  where agent = $1 and provider = $2 and month = $3 and organisation = $4";
    tx.query_opt(select, params![spender.agent, provider, month, spender.organisation])?.as_ref().map(Book::from_row).transpose()
}

/// The agent's books from a month on: those whose caps a change must reach.
pub fn open_from(tx: &mut Tx<'_>, spender: &Spender, from: Month) -> Result<Vec<Book>, DbError> {
    let select = "select organisation, agent, provider, month, currency, cap from spend_book
                  where agent = $1 and organisation = $2 and month >= $3 order by provider, month";
    tx.query(select, params![spender.agent, spender.organisation, from])?.iter().map(Book::from_row).collect()
}

/// All books of an organisation in a month.
pub fn of_month(tx: &mut Tx<'_>, organisation: &OrganisationId, month: Month) -> Result<Vec<Book>, DbError> {
    let select = "select organisation, agent, provider, month, currency, cap from spend_book
                  where organisation = $1 and month = $2 order by agent, provider";
    tx.query(select, params![organisation, month])?.iter().map(Book::from_row).collect()
}

/// Changes the book's cap; what is held or captured stays.
pub fn change_cap(tx: &mut Tx<'_>, env: &Env, book: &Book, cap: Money, subject: &str) -> Result<(), DbError> {
    pot::resize(tx, env, book, cap, subject)?;
    let update = "update spend_book set cap = $4 where agent = $1 and provider = $2 and month = $3";
    tx.execute(update, params![book.spender.agent, book.provider, book.month, cap.minor()]).map(drop)
}
