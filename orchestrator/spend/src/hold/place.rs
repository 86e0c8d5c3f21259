//! Sets money aside for purchases, before anything is bought.

use std::collections::{BTreeMap, BTreeSet};

use purser_authority::action::ResourceAdd;
use purser_authority::{Done, Event, Permit};
use purser_db::{DbError, Tx};
use purser_values::id::{AgentId, HoldId, OrganisationId, PaymentMethodId};
use purser_values::{Env, Money, Sha256Digest};
use serde_json::json;

use super::{Hold, HoldError, HoldState, Purchase, check, read, write};
use crate::method::{self, PaymentMethod};
use crate::rate::Rate;
use crate::room::{Need, Room, Taking};
use crate::share::Share;
use crate::{freeze, limits, spender};

/// A purchase with the permit to make it.
pub type Ask<'a> = (&'a Permit<ResourceAdd>, &'a Purchase);

/// Holds the quote's total within every ceiling that it counts against, or refuses with what is left and who can raise it.
///
/// # Errors
/// See [`HoldError`]; nothing is set aside then.
pub fn place(tx: &mut Tx<'_>, env: &Env, permit: &Permit<ResourceAdd>, purchase: &Purchase) -> Result<Done<Hold>, HoldError> {
    let mut answers = place_all(tx, env, &[(permit, purchase)])?;
    answers.pop().unwrap_or(Err(HoldError::Store(DbError::NoRow)))
}

/// Does so for many purchases, in their order and each by itself: a refusal takes nothing and says nothing of the others. Answers
/// each at its place. The number of statements does not grow with that of the purchases.
///
/// INVARIANT (cap, chain-pays, ceiling): the room is read, locked, decided on and taken in this write, everywhere or nowhere.
///
/// # Errors
/// When the store fails; then nothing is set aside for anybody.
pub fn place_all(tx: &mut Tx<'_>, env: &Env, asks: &[Ask<'_>]) -> Result<Vec<Result<Done<Hold>, HoldError>>, DbError> {
    let env = &env.still();
    let shares: Vec<Vec<Share>> = asks.iter().map(|(_, purchase)| purchase.shares()).collect();
    let needs: Vec<Need<'_>> = asks.iter().zip(&shares).map(|((_, purchase), shares)| purchase.need(shares, env.now())).collect();
    let mut desk = Desk::load(tx, asks, &shares)?;
    // Everything may have been answered before, and then no ceiling matters.
    let mut room = if desk.first.len() == asks.len() { Room::default() } else { Room::load(tx, &needs)? };
    let mut placed: Vec<Placed<'_>> = Vec::with_capacity(asks.len());
    let mut answers = Vec::with_capacity(asks.len());
    for (n, ask) in asks.iter().enumerate() {
        answers.push(desk.decide(env, *ask, &needs[n], &mut room).map(|decided| match decided {
            Decided::Before(hold) => Done::quiet(hold),
            Decided::Now(hold, digest, taking) => {
                let event = event(ask, &hold, &taking.rates);
                placed.push(Placed { hold: hold.clone(), digest, taking, purchase: ask.1, shares: &shares[n] });
                Done::with_event(hold, event)
            }
        }));
    }
    if !placed.is_empty() {
        room.write(tx, env)?;
        write::holds(tx, env.now().month(), &placed)?;
    }
    Ok(answers)
}

/// A hold that this write makes.
pub struct Placed<'a> {
    pub hold: Hold,
    pub digest: Sha256Digest,
    pub taking: Taking,
    pub purchase: &'a Purchase,
    pub shares: &'a [Share],
}

enum Decided {
    /// The first answer to the key.
    Before(Hold),
    Now(Hold, Sha256Digest, Taking),
}

/// What was read for all purchases of the write, with what it decided so far.
struct Desk<'a> {
    /// The holds that stand under the purchases' keys, with the digests that the keys are bound to.
    first: BTreeMap<(&'a AgentId, &'a str), (Hold, Sha256Digest)>,
    methods: BTreeMap<OrganisationId, PaymentMethod>,
    frozen: BTreeSet<AgentId>,
}

impl<'a> Desk<'a> {
    fn load(tx: &mut Tx<'_>, asks: &[Ask<'a>], shares: &[Vec<Share>]) -> Result<Self, DbError> {
        let keys: Vec<(&AgentId, &str)> = asks.iter().map(|(_, purchase)| (&purchase.spender.agent, purchase.key.as_str())).collect();
        let first = read::by_keys(tx, &keys)?;
        let organisations: BTreeSet<&OrganisationId> = asks.iter().map(|(_, purchase)| &purchase.spender.organisation).collect();
        let agents = shares.iter().flatten().map(|share| share.agent.clone()).collect();
        Ok(Self { first, methods: method::current_of(tx, organisations)?, frozen: freeze::frozen_of(tx, &agents)? })
    }

    /// The order of refusals: the caller, the key's first answer, what [`check::before_cap`] names, the ceilings.
    fn decide(&mut self, env: &Env, (permit, purchase): Ask<'a>, need: &Need<'_>, room: &mut Room) -> Result<Decided, HoldError> {
        spender::allowed(permit.caller(), &purchase.spender, Some(&purchase.grant))?;
        let digest = digest(purchase);
        let key = (&purchase.spender.agent, purchase.key.as_str());
        if let Some((hold, first)) = self.first.get(&key) {
            return if *first == digest { Ok(Decided::Before(hold.clone())) } else { Err(HoldError::KeyReused) };
        }
        let method = self.methods.get(&purchase.spender.organisation);
        if let Some(refusal) = check::before_cap(purchase, method, &self.frozen).into_iter().next() {
            return Err(refusal);
        }
        let method = method.ok_or_else(|| check::no_method(purchase))?;
        let total = check::sum(purchase)?;
        let id = HoldId::mint(env);
        let taking = room.take(need, &purchase.parts(), id.as_str()).map_err(|full| check::refusal(purchase, full, total))?;
        let hold = record(env, purchase, id, total, method.id.clone());
        self.first.insert(key, (hold.clone(), digest));
        Ok(Decided::Now(hold, digest, taking))
    }
}

fn event((permit, purchase): &Ask<'_>, hold: &Hold, rates: &[Rate]) -> Event {
    Event::done("purchase_hold", permit.caller(), hold.id.as_str())
        .in_organisation(&purchase.spender.organisation)
        .related([purchase.resource.as_str(), purchase.grant.as_str(), purchase.spender.agent.as_str(), purchase.quote.id.as_str()])
        .with(json!({
            "amount": hold.amount, "provider": purchase.provider, "project": purchase.project, "quote": purchase.quote.id,
            "quote_digest": purchase.quote.digest, "irreversible": purchase.quote.irreversible, "rates": rates,
        }))
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
        irreversible: purchase.quote.irreversible,
        state: HoldState::Open,
        created_at: env.now(),
        expires_at: env.now().plus_secs(limits::HOLD_LIFE_S),
    }
}
