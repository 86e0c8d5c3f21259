//! Sets money aside for purchases, before anything is bought.

use std::collections::{BTreeMap, BTreeSet};

use purser_authority::action::ResourceAdd;
use purser_authority::{Done, Event, Permit};
use purser_db::{DbError, Row, Statement, Tx};
use purser_values::id::{AgentId, HoldId, OrganisationId, PaymentMethodId};
use purser_values::{Env, Money, Sha256Digest};
use serde_json::json;

use super::{Hold, HoldError, HoldState, Purchase, check, read, write};
use crate::method::{self, PaymentMethod};
use crate::rate::Rate;
use crate::room::{Need, Question, Room, Taking};
use crate::share::Share;
use crate::writes::Writes;
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
/// each at its place. The number of statements does not grow with that of the purchases, and they are two round
/// trips to the store, and one more where there are ceilings.
///
/// INVARIANT (cap, chain-pays, ceiling): the room is read, locked, decided on and taken in this write, everywhere or nowhere.
///
/// # Errors
/// When the store fails; then nothing is set aside for anybody.
pub fn place_all(tx: &mut Tx<'_>, env: &Env, asks: &[Ask<'_>]) -> Result<Vec<Result<Done<Hold>, HoldError>>, DbError> {
    let env = &env.still();
    let shares: Vec<Vec<Share>> = asks.iter().map(|(_, purchase)| purchase.shares()).collect();
    let needs: Vec<Need<'_>> = asks.iter().zip(&shares).map(|((_, purchase), shares)| purchase.need(shares, env.now())).collect();
    let keys: Vec<(&AgentId, &str)> = asks.iter().map(|(_, purchase)| (&purchase.spender.agent, purchase.key.as_str())).collect();
    let question = Question::to_take(&needs);
    let mut statements = Desk::statements(&keys, asks, &shares);
    statements.extend(question.statements());
    tx.by_keys();
    let answers = tx.query_all(&statements)?;
    let (of_desk, of_room) = answers.split_at_checked(Desk::STATEMENTS).ok_or(DbError::NoRow)?;
    let mut desk = Desk::of(&keys, of_desk)?;
    let mut room = Room::of(tx, &question, of_room)?;
    let mut answers = Vec::with_capacity(asks.len());
    for ((ask, need), shares) in asks.iter().zip(&needs).zip(&shares) {
        let decided = desk.decide(env, *ask, need, shares, &mut room);
        answers.push(decided.map(|(hold, event)| match event {
            Some(event) => Done::with_event(hold, event),
            None => Done::quiet(hold),
        }));
    }
    let mut placed = desk.placed;
    if !placed.is_empty() {
        // In the order of their keys: rows that follow each other go to the same page.
        placed.sort_unstable_by(|a, b| a.hold.id.cmp(&b.hold.id));
        let mut writes = Writes::default();
        room.write(&mut writes, env)?;
        write::holds(&mut writes, env.now().month(), &placed);
        writes.run(tx)?;
        write::besides(tx, &placed)?;
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

/// What was read for all purchases of the write, with what it decided so far.
struct Desk<'a> {
    /// The holds that stood under the purchases' keys, with the digests that the keys are bound to.
    before: BTreeMap<(&'a AgentId, &'a str), (Hold, Sha256Digest)>,
    /// The holds of this write, and where each is under its key.
    placed: Vec<Placed<'a>>,
    here: BTreeMap<(&'a AgentId, &'a str), usize>,
    methods: BTreeMap<OrganisationId, PaymentMethod>,
    frozen: BTreeSet<AgentId>,
}

impl<'a> Desk<'a> {
    const STATEMENTS: usize = 3;

    fn statements(keys: &[(&AgentId, &str)], asks: &[Ask<'_>], shares: &[Vec<Share>]) -> Vec<Statement> {
        let organisations = asks.iter().map(|(_, purchase)| &purchase.spender.organisation).collect();
        let agents = shares.iter().flatten().map(|share| &share.agent).collect();
        vec![read::keys_statement(keys), method::current_statement(&organisations), freeze::frozen_statement(&agents)]
    }

    fn of(keys: &[(&'a AgentId, &'a str)], answers: &[Vec<Row>]) -> Result<Self, DbError> {
        let [before, methods, frozen] = answers else { return Err(DbError::NoRow) };
        let (placed, here) = (Vec::with_capacity(keys.len()), BTreeMap::new());
        let (methods, frozen) = (method::current_from(methods)?, freeze::frozen_from(frozen)?);
        Ok(Self { before: read::keys_from(keys, before)?, placed, here, methods, frozen })
    }

    /// The hold, and what is recorded of it where this write makes it. The order of refusals: the caller, the key's first answer, what
    /// [`check::before_cap`] names, the ceilings.
    fn decide(
        &mut self,
        env: &Env,
        (permit, purchase): Ask<'a>,
        need: &Need<'_>,
        shares: &'a [Share],
        room: &mut Room,
    ) -> Result<(Hold, Option<Event>), HoldError> {
        spender::allowed(permit.caller(), &purchase.spender, Some(&purchase.grant))?;
        let digest = digest(purchase)?;
        let key = (&purchase.spender.agent, purchase.key.as_str());
        let here = self.here.get(&key).and_then(|at| self.placed.get(*at)).map(|placed| (&placed.hold, &placed.digest));
        if let Some((hold, first)) = here.or_else(|| self.before.get(&key).map(|(hold, digest)| (hold, digest))) {
            return if *first == digest { Ok((hold.clone(), None)) } else { Err(HoldError::KeyReused) };
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
        let event = event(&(permit, purchase), &hold, &taking.rates);
        self.here.insert(key, self.placed.len());
        self.placed.push(Placed { hold: hold.clone(), digest, taking, purchase, shares });
        Ok((hold, Some(event)))
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
fn digest(purchase: &Purchase) -> Result<Sha256Digest, HoldError> {
    let Purchase { spender, grant, provider, project, resource, quote, .. } = purchase;
    let facts = (&spender.organisation, &spender.agent, grant, provider, project, resource, quote);
    let text = serde_json::to_vec(&facts).map_err(|e| DbError::Other(e.to_string()))?;
    Ok(Sha256Digest::of(&text))
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
