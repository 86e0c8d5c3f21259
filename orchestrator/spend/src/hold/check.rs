//! What stands against a purchase: in the order in which it refuses, or all of it at once.

use std::collections::BTreeSet;

use purser_authority::Denied;
use purser_db::{DbError, Tx};
use purser_values::id::AgentId;
use purser_values::{Env, Money};

use super::{HoldError, Purchase};
use crate::ceiling::Rule;
use crate::method::{self, PaymentMethod};
use crate::pot::Pot as _;
use crate::quote::Recurs;
use crate::room::{Ceiling, Full, Room};
use crate::{freeze, limits};

/// Everything that stands against the purchase, for a preflight that names all of it at once. Sets nothing aside.
///
/// # Errors
/// When the store fails.
pub fn blockers(tx: &mut Tx<'_>, env: &Env, purchase: &Purchase) -> Result<Vec<HoldError>, DbError> {
    let env = &env.still();
    let method = method::current(tx, &purchase.spender.organisation)?;
    let shares = purchase.shares();
    tx.by_keys();
    let asked = tx.query_all(&[freeze::frozen_statement(&shares.iter().map(|share| &share.agent).collect())])?;
    let frozen = freeze::frozen_from(&asked.concat())?;
    let mut found = before_cap(purchase, method.as_ref(), &frozen);
    let Ok(total) = sum(purchase) else { return Ok(found) };
    let need = purchase.need(&shares, env.now());
    let room = Room::look(tx, std::slice::from_ref(&need))?;
    found.extend(room.against(&need, &purchase.parts()).into_iter().map(|full| refusal(purchase, full, total)));
    Ok(found)
}

/// What stands against the purchase apart from the ceilings, in a fixed order.
pub fn before_cap(purchase: &Purchase, method: Option<&PaymentMethod>, frozen: &BTreeSet<AgentId>) -> Vec<HoldError> {
    let mut found = Vec::new();
    if frozen.contains(&purchase.spender.agent) || purchase.above.iter().any(|share| frozen.contains(&share.agent)) {
        found.push(Denied::Frozen.into());
    }
    if let Err(refusal) = sum(purchase) {
        found.push(refusal);
    }
    if purchase.quote.irreversible && !purchase.irreversible_allowed {
        found.push(HoldError::Irreversible);
    }
    match method {
        None => found.push(no_method(purchase)),
        Some(method) if method.stopped.contains(&purchase.provider) => {
            found.push(HoldError::PaymentDisputed { card_url: purchase.card_url.clone() });
        }
        Some(_) => {}
    }
    found
}

pub fn no_method(purchase: &Purchase) -> HoldError {
    HoldError::NoPaymentMethod { card_url: purchase.card_url.clone() }
}

/// The sum of the quote's lines, once they are fit to be held.
pub fn sum(purchase: &Purchase) -> Result<Money, HoldError> {
    let lines = &purchase.quote.lines;
    let currency = lines.first().map(|line| line.amount.currency()).ok_or(HoldError::Quote("it has no lines"))?;
    if lines.len() > limits::QUOTE_LINES {
        return Err(HoldError::Quote("it has too many lines"));
    }
    if lines.iter().any(|line| line.recurs == Recurs::Metered && !line.amount.is_zero()) {
        return Err(HoldError::Quote("a metered line costs something at once"));
    }
    if lines.iter().any(|line| line.amount.minor() < 0) {
        return Err(HoldError::Quote("a line is negative"));
    }
    if lines.iter().enumerate().any(|(i, line)| lines.iter().skip(i + 1).any(|other| other.id == line.id)) {
        return Err(HoldError::Quote("two lines have the same id"));
    }
    let total = purchase.quote.total(currency).map_err(|_| HoldError::Quote("its lines do not add up"))?;
    // What a credit pays in whole has nothing to set aside yet.
    if total.is_positive() || !purchase.by_credit.is_empty() { Ok(total) } else { Err(HoldError::Quote("there is nothing to pay")) }
}

pub fn refusal(purchase: &Purchase, full: Full, asked: Money) -> HoldError {
    let rest = |left: i64, ceiling: Money| Money::from_minor(left.max(0), ceiling.currency());
    let limits_url = || purchase.limits_url.clone();
    let ceiling_currency = |rule: Rule| HoldError::CeilingCurrency {
        have: rule.amount.currency(),
        rule: Box::new(rule),
        asked: asked.currency(),
        limits_url: limits_url(),
    };
    match full {
        Full::Stopped => HoldError::Stopped { currency: asked.currency() },
        Full::NoCap => HoldError::NoCap { limits_url: limits_url() },
        Full::Rate(rate) => HoldError::RateNotInForce { rate, limits_url: limits_url() },
        Full::Purchase(rule) => {
            let left = rule.amount;
            HoldError::CeilingReached { rule: Box::new(rule), left, asked, resets_at: None, limits_url: limits_url() }
        }
        Full::PurchaseCurrency(rule) => ceiling_currency(rule),
        Full::Currency(Ceiling::Window(window)) => ceiling_currency(window.rule),
        Full::Reached(Ceiling::Window(window), left) => HoldError::CeilingReached {
            left: rest(left, window.rule.amount),
            rule: Box::new(window.rule),
            asked,
            resets_at: window.ends,
            limits_url: limits_url(),
        },
        Full::Currency(ceiling) => HoldError::Currency { cap: ceiling.currency(), asked: asked.currency(), limits_url: limits_url() },
        Full::Reached(Ceiling::Month(book), left) => HoldError::CapReached {
            agent: above(purchase, &book.spender.agent),
            cap: book.cap,
            left: rest(left, book.cap),
            asked,
            resets_at: book.month.end(),
            limits_url: limits_url(),
        },
        Full::Reached(Ceiling::Life(total), left) => {
            HoldError::TotalReached { grant: total.grant, total: total.amount, left: rest(left, total.amount), asked }
        }
    }
}

/// The agent whose ceiling it is, when it is not the buyer's own.
fn above(purchase: &Purchase, agent: &AgentId) -> Option<AgentId> {
    (*agent != purchase.spender.agent).then(|| agent.clone())
}
