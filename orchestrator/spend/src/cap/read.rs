//! What an agent may spend, has set aside and has spent, at each provider.

use purser_authority::Permit;
use purser_authority::action::CapRead;
use purser_db::{DbError, Tx, params};
use purser_values::id::AgentId;
use purser_values::name::ProviderName;
use purser_values::{Money, Month};
use serde::Serialize;

use super::{CapError, stored};
use crate::book;
use crate::pot;
use crate::spender::{self, Spender};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapView {
    pub agent: AgentId,
    pub provider: ProviderName,
    pub month: Month,
    pub cap: Money,
    pub captured: Money,
    pub held: Money,
    /// What may still be spent; never negative, also when the cap was lowered below what is used.
    pub left: Money,
    /// Whether the cap is the provider's own and not the agent's.
    pub own: bool,
}

/// The agent's position at each of `providers` and wherever else it has a cap or has spent, in the month.
///
/// # Errors
/// When the agent is another organisation's, or the store fails.
pub fn read(
    tx: &mut Tx<'_>,
    permit: &Permit<CapRead>,
    spender: &Spender,
    providers: &[ProviderName],
    month: Month,
) -> Result<Vec<CapView>, CapError> {
    spender::allowed(permit.caller(), spender, None)?;
    let mut all = providers.to_vec();
    let known = "select provider from spend_cap where agent = $1 and organisation = $2 and provider <> ''
                 union select provider from spend_book where agent = $1 and organisation = $2 and month = $3";
    for row in tx.query(known, params![spender.agent, spender.organisation, month])? {
        all.push(row.parse("provider")?);
    }
    all.sort();
    all.dedup();
    let mut views = Vec::with_capacity(all.len());
    for provider in all {
        views.extend(at(tx, spender, &provider, month)?);
    }
    Ok(views)
}

/// The agent's position at one provider, or nothing when no cap was ever set.
///
/// # Errors
/// When the store fails.
pub fn at(tx: &mut Tx<'_>, spender: &Spender, provider: &ProviderName, month: Month) -> Result<Option<CapView>, DbError> {
    let own = stored(tx, spender, Some(provider))?.is_some();
    let amount = |minor, cap: Money| Money::from_minor(minor, cap.currency());
    let found = book::find(tx, spender, provider, month)?;
    let (cap, position) = match &found {
        Some(book) => (book.cap, pot::position(tx, book)?),
        None => match super::effective(tx, spender, provider)? {
            Some(cap) => (cap, pot::Position { room: cap.minor(), held: 0, captured: 0 }),
            None => return Ok(None),
        },
    };
    Ok(Some(CapView {
        agent: spender.agent.clone(),
        provider: provider.clone(),
        month,
        cap,
        captured: amount(position.captured, cap),
        held: amount(position.held, cap),
        left: amount(position.room.max(0), cap),
        own,
    }))
}

/// The cap that was set for the agent at every provider without one of its own.
///
/// # Errors
/// When the store fails.
pub fn of_agent(tx: &mut Tx<'_>, spender: &Spender) -> Result<Option<Money>, DbError> {
    stored(tx, spender, None)
}
