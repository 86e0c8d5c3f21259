//! Sets money aside for a purchase, before anything is bought.

use purser_authority::action::ResourceAdd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx};
use purser_values::id::{HoldId, PaymentMethodId};
use purser_values::{Currency, Env, Money, Month, Sha256Digest};
use serde_json::json;

use super::{Hold, HoldError, HoldState, Purchase, read, write};
use crate::book::{self, Book};
use crate::method::{self, MethodState, PaymentMethod};
use crate::{cap, freeze, limits, spender};

/// Holds the quote's total within the cap of this month, or refuses with what is left and who can raise it.
///
/// INVARIANT (cap): the room is taken by the statement that checks it.
///
/// # Errors
/// See [`HoldError`]; nothing is set aside then.
pub fn place(tx: &mut Tx<'_>, env: &Env, permit: &Permit<ResourceAdd>, purchase: &Purchase) -> Result<Done<Hold>, HoldError> {
    spender::allowed(permit.caller(), &purchase.spender, Some(&purchase.grant))?;
    let digest = digest(purchase);
    if let Some(first) = read::by_key(tx, &purchase.spender, &purchase.key)? {
        return if first.1 == digest { Ok(Done::quiet(first.0)) } else { Err(HoldError::KeyReused) };
    }
    let method = method::current(tx, &purchase.spender.organisation)?;
    if let Some(refusal) = before_cap(tx, purchase, method.as_ref())?.into_iter().next() {
        return Err(refusal);
    }
    let method = method.ok_or_else(|| no_method(purchase))?;
    let total = total(purchase)?;
    let month = env.now().month();
    let book = find_book(tx, env, purchase, total, month)?;
    let id = HoldId::mint(env);
    if !book::reserve(tx, env, &book, total, id.as_str())? {
        return Err(cap_reached(tx, purchase, &book, total)?);
    }
    let hold = record(env, purchase, id, total, method.id);
    write::hold(tx, &hold, &purchase.key, &digest)?;
    write::first_lines(tx, &hold, &purchase.quote, month)?;
    let event = Event::done("purchase_hold", permit.caller(), hold.id.as_str())
        .in_organisation(&purchase.spender.organisation)
        .related([purchase.resource.as_str(), purchase.grant.as_str(), purchase.spender.agent.as_str(), purchase.quote.id.as_str()])
        .with(json!({
            "amount": total, "provider": purchase.provider, "project": purchase.project, "quote": purchase.quote.id,
            "quote_digest": purchase.quote.digest, "irreversible": purchase.quote.irreversible,
        }));
    Ok(Done::with_event(hold, event))
}

/// Everything that stands against the purchase, for a preflight that names all of it at once. Sets nothing aside.
///
/// # Errors
/// When the store fails.
pub fn blockers(tx: &mut Tx<'_>, env: &Env, purchase: &Purchase) -> Result<Vec<HoldError>, DbError> {
    let method = method::current(tx, &purchase.spender.organisation)?;
    let mut found = before_cap(tx, purchase, method.as_ref())?;
    let Ok(total) = total(purchase) else { return Ok(found) };
    match cap::at(tx, &purchase.spender, &purchase.provider, env.now().month())? {
        Some(view) if view.cap.currency() != total.currency() => {
            found.push(HoldError::Currency { cap: view.cap.currency(), asked: total.currency() });
        }
        Some(view) if view.left.minor() < total.minor() => found.push(HoldError::CapReached {
            cap: view.cap,
            left: view.left,
            asked: total,
            resets_at: view.month.end(),
            limits_url: purchase.limits_url.clone(),
        }),
        Some(_) => {}
        None => found.push(HoldError::NoCap { limits_url: purchase.limits_url.clone() }),
    }
    Ok(found)
}

/// What stands against the purchase apart from the cap, in a fixed order.
fn before_cap(tx: &mut Tx<'_>, purchase: &Purchase, method: Option<&PaymentMethod>) -> Result<Vec<HoldError>, DbError> {
    let mut found = Vec::new();
    if freeze::is_frozen(tx, &purchase.spender.agent)? {
        found.push(Denied::Frozen.into());
    }
    if let Err(refusal) = total(purchase) {
        found.push(refusal);
    }
    if purchase.quote.irreversible && !purchase.irreversible_allowed {
        found.push(HoldError::Irreversible);
    }
    match method {
        None => found.push(no_method(purchase)),
        Some(method) if method.state == MethodState::NeedsAuthentication => {
            found.push(HoldError::PaymentMethodNeedsPerson { card_url: purchase.card_url.clone() });
        }
        Some(_) => {}
    }
    Ok(found)
}

fn no_method(purchase: &Purchase) -> HoldError {
    HoldError::NoPaymentMethod { card_url: purchase.card_url.clone() }
}

/// The sum of the quote's lines, once they are fit to be held.
fn total(purchase: &Purchase) -> Result<Money, HoldError> {
    let lines = &purchase.quote.lines;
    let currency = lines.first().map(|line| line.amount.currency()).ok_or(HoldError::Quote("it has no lines"))?;
    if lines.len() > limits::QUOTE_LINES {
        return Err(HoldError::Quote("it has too many lines"));
    }
    if lines.iter().any(|line| line.amount.minor() < 0) {
        return Err(HoldError::Quote("a line is negative"));
    }
    if lines.iter().enumerate().any(|(i, line)| lines.iter().skip(i + 1).any(|other| other.id == line.id)) {
        return Err(HoldError::Quote("two lines have the same id"));
    }
    let total = purchase.quote.total(currency).map_err(|_| HoldError::Quote("its lines do not add up"))?;
    if total.is_positive() { Ok(total) } else { Err(HoldError::Quote("there is nothing to pay")) }
}

fn find_book(tx: &mut Tx<'_>, env: &Env, purchase: &Purchase, total: Money, month: Month) -> Result<Book, HoldError> {
    let book = book::find_or_open(tx, env, &purchase.spender, &purchase.provider, month)?;
    let book = book.ok_or_else(|| HoldError::NoCap { limits_url: purchase.limits_url.clone() })?;
    let (cap, asked): (Currency, Currency) = (book.currency(), total.currency());
    if cap == asked { Ok(book) } else { Err(HoldError::Currency { cap, asked }) }
}

fn cap_reached(tx: &mut Tx<'_>, purchase: &Purchase, book: &Book, asked: Money) -> Result<HoldError, DbError> {
    let left = book::position(tx, book)?.room.max(0);
    Ok(HoldError::CapReached {
        cap: book.cap,
        left: Money::from_minor(left, book.currency()),
        asked,
        resets_at: book.month.end(),
        limits_url: purchase.limits_url.clone(),
    })
}

/// What the key is bound to: every fact of the purchase.
fn digest(purchase: &Purchase) -> Sha256Digest {
    let Purchase { spender, grant, provider, project, resource, quote, .. } = purchase;
    let facts = json!([spender.organisation, spender.agent, grant, provider, project, resource, quote]);
    Sha256Digest::of(facts.to_string().as_bytes())
}

fn record(env: &Env, purchase: &Purchase, id: HoldId, amount: Money, payment_method: PaymentMethodId) -> Hold {
    Hold {
        id,
        spender: purchase.spender.clone(),
        grant: purchase.grant.clone(),
        provider: purchase.provider.clone(),
        project: purchase.project.clone(),
        resource: purchase.resource.clone(),
        payment_method,
        amount,
        quote_id: purchase.quote.id.clone(),
        quote_digest: purchase.quote.digest,
        state: HoldState::Open,
        created_at: env.now(),
        expires_at: env.now().plus_secs(limits::HOLD_LIFE_S),
    }
}
