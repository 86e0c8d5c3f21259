//! Sets money aside for a purchase, before anything is bought.

use purser_authority::action::ResourceAdd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx};
use purser_values::id::{AgentId, HoldId, PaymentMethodId};
use purser_values::{Env, Money, Sha256Digest, Timestamp};
use serde_json::json;

use super::{Hold, HoldError, HoldState, Purchase, read, write};
use crate::ceiling::Rule;
use crate::method::{self, MethodState, PaymentMethod};
use crate::pot::{self, Position, Pot as _};
use crate::quote::Recurs;
use crate::share::{self, Ceiling, Full};
use crate::spender::{self, Spender};
use crate::{cap, ceiling, freeze, limits, total};

/// Holds the quote's total within every ceiling that it counts against, or refuses with what is left and who can raise it.
///
/// INVARIANT (cap, chain-pays, ceiling): the room is taken by the statement that checks it, everywhere or nowhere.
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
    let total = sum(purchase)?;
    let month = env.now().month();
    let id = HoldId::mint(env);
    let shares = purchase.shares();
    let windows = tx.savepoint(|tx| {
        let taken = share::reserve(tx, env, &purchase.facts(&shares), env.now(), total, id.as_str())?;
        taken.map_err(|full| refusal(purchase, full, total))
    })?;
    let hold = record(env, purchase, id, total, method.id);
    write::hold(tx, &hold, &purchase.key, &digest)?;
    share::keep(tx, &hold.id, &shares)?;
    write::first_lines(tx, &hold, &purchase.quote, month)?;
    for line in &purchase.quote.lines {
        ceiling::note(tx, &hold.id, &line.id, "", &windows)?;
    }
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
    let Ok(total) = sum(purchase) else { return Ok(found) };
    for share in purchase.shares() {
        let payer = Spender { organisation: purchase.spender.organisation.clone(), agent: share.agent.clone() };
        let full = match cap::at(tx, &payer, &purchase.provider, env.now().month())? {
            None => Some(HoldError::NoCap { limits_url: purchase.limits_url.clone() }),
            Some(view) if view.cap.currency() != total.currency() => {
                Some(HoldError::Currency { cap: view.cap.currency(), asked: total.currency() })
            }
            Some(view) if view.left.minor() < total.minor() => Some(HoldError::CapReached {
                agent: above(purchase, &share.agent),
                cap: view.cap,
                left: view.left,
                asked: total,
                resets_at: view.month.end(),
                limits_url: purchase.limits_url.clone(),
            }),
            Some(_) => None,
        };
        found.extend(full);
        let Some(most) = share.total else { continue };
        let left = match total::find(tx, &share.grant)? {
            Some(opened) => Money::from_minor(pot::position(tx, &opened)?.room, most.currency()),
            None => most,
        };
        if left.minor() < total.minor() {
            found.push(HoldError::TotalReached { grant: share.grant, total: most, left, asked: total });
        }
    }
    let shares = purchase.shares();
    for (rule, position, resets_at) in ceiling::would_refuse(tx, env, &purchase.facts(&shares), total)? {
        found.push(ceiling_refusal(purchase, rule, position.room, resets_at, total));
    }
    Ok(found)
}

/// What stands against the purchase apart from the cap, in a fixed order.
fn before_cap(tx: &mut Tx<'_>, purchase: &Purchase, method: Option<&PaymentMethod>) -> Result<Vec<HoldError>, DbError> {
    let mut found = Vec::new();
    for share in purchase.shares() {
        if freeze::is_frozen(tx, &share.agent)? {
            found.push(Denied::Frozen.into());
            break;
        }
    }
    if let Err(refusal) = sum(purchase) {
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
fn sum(purchase: &Purchase) -> Result<Money, HoldError> {
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
    if total.is_positive() { Ok(total) } else { Err(HoldError::Quote("there is nothing to pay")) }
}

fn refusal(purchase: &Purchase, full: Full, asked: Money) -> HoldError {
    let left = |position: Position| Money::from_minor(position.room.max(0), asked.currency());
    match full {
        Full::NoCap => HoldError::NoCap { limits_url: purchase.limits_url.clone() },
        Full::Purchase(rule) => {
            let room = rule.amount.minor();
            ceiling_refusal(purchase, rule, room, None, asked)
        }
        Full::Currency(Ceiling::Window(window)) => ceiling_refusal(purchase, window.rule, 0, window.ends, asked),
        Full::Reached(Ceiling::Window(window), position) => ceiling_refusal(purchase, window.rule, position.room, window.ends, asked),
        Full::Currency(ceiling) => HoldError::Currency { cap: ceiling.currency(), asked: asked.currency() },
        Full::Reached(Ceiling::Month(book), position) => HoldError::CapReached {
            agent: above(purchase, &book.spender.agent),
            cap: book.cap,
            left: left(position),
            asked,
            resets_at: book.month.end(),
            limits_url: purchase.limits_url.clone(),
        },
        Full::Reached(Ceiling::Life(total), position) => {
            HoldError::TotalReached { grant: total.grant, total: total.amount, left: left(position), asked }
        }
    }
}

fn ceiling_refusal(purchase: &Purchase, rule: Rule, room: i64, resets_at: Option<Timestamp>, asked: Money) -> HoldError {
    if rule.amount.currency() != asked.currency() {
        return HoldError::CeilingCurrency { have: rule.amount.currency(), rule: Box::new(rule), asked: asked.currency() };
    }
    let (left, limits_url) = (Money::from_minor(room.max(0), asked.currency()), purchase.limits_url.clone());
    HoldError::CeilingReached { rule: Box::new(rule), left, asked, resets_at, limits_url }
}

/// The agent whose ceiling it is, when it is not the buyer's own.
fn above(purchase: &Purchase, agent: &AgentId) -> Option<AgentId> {
    (*agent != purchase.spender.agent).then(|| agent.clone())
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
        environment: Some(purchase.environment.clone()),
        categories: purchase.categories.clone(),
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
