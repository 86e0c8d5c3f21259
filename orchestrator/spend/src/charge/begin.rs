//! The intent of a charge, or its refusal.

use purser_authority::action::ChargeCreate;
use purser_authority::{Caller, Denied, Done, Event, Outcome, Permit};
use purser_crypto::token as text;
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::ChargeId;
use purser_values::name::ProviderName;
use purser_values::{Env, Sha256Digest};
use serde_json::json;

use super::{ChargeAsk, ChargeError, ChargeState, ChargeStep, RESUME_JOB, Receipt, Refusal, line, read};
use crate::hold::{self, HeldLine, Hold};
use crate::method::{self, MethodState};
use crate::rail::RailOrder;
use crate::token::{self, PaymentToken, TokenState};
use crate::under::under;
use crate::{freeze, ledger, limits};

/// Checks the charge and records that it is about to be captured, or refuses it and records the dispute.
///
/// A repeat of the key gets the first answer, or the order again while the rail's answer is missing.
///
/// # Errors
/// When the caller is not a provider, or the key belongs to another charge. A refusal is a value, because it is recorded.
pub fn begin(tx: &mut Tx<'_>, env: &Env, permit: &Permit<ChargeCreate>, ask: &ChargeAsk) -> Result<Done<ChargeStep>, ChargeError> {
    let env = &env.still();
    let Caller::Provider { provider } = permit.caller() else { return Err(Denied::NotFound.into()) };
    let digest = digest(ask);
    if let Some((charge, first)) = read::by_key(tx, provider, &ask.key)? {
        if first != digest {
            return Err(ChargeError::KeyReused);
        }
        return Ok(Done::quiet(match (charge.state, read::order(tx, &charge.id)?) {
            (ChargeState::Begun, Some(order)) => ChargeStep::Capture(order),
            _ => ChargeStep::Ended(charge.receipt()),
        }));
    }
    let token = token::by_plain(tx, &ask.token)?.filter(|token| token.provider == *provider);
    let hold = match &token {
        Some(token) => hold::find(tx, &token.hold)?,
        None => None,
    };
    let id = ChargeId::mint(env);
    let entry = Entry { id: &id, provider, ask, digest: &digest, token: token.as_ref(), hold: hold.as_ref() };
    // What the checks moved must not stay when a later one refuses.
    let checked = tx.savepoint(|tx| check(tx, env, &entry).and_then(|outcome| outcome.map_err(Stop::Refused)));
    match checked {
        Ok((line, order)) => begun(tx, env, permit, &entry, &line, order),
        Err(Stop::Refused(refusal)) => Ok(refused(tx, env, permit, &entry, refusal)?.map(ChargeStep::Ended)),
        Err(Stop::Store(e)) => Err(e.into()),
    }
}

struct Entry<'a> {
    id: &'a ChargeId,
    provider: &'a ProviderName,
    ask: &'a ChargeAsk,
    digest: &'a Sha256Digest,
    token: Option<&'a PaymentToken>,
    hold: Option<&'a Hold>,
}

enum Stop {
    Refused(Refusal),
    Store(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

/// INVARIANT (token-is-hold): only what passes here reaches the rail.
fn check(tx: &mut Tx<'_>, env: &Env, entry: &Entry<'_>) -> Result<Result<(HeldLine, RailOrder), Refusal>, Stop> {
    let Entry { ask, .. } = entry;
    let (Some(token), Some(hold)) = (entry.token, entry.hold) else { return Ok(Err(Refusal::TokenUnknown)) };
    match token.state {
        TokenState::Active if token.expires_at <= env.now() => return Ok(Err(Refusal::TokenExpired)),
        TokenState::Active => {}
        TokenState::Spent => return Ok(Err(Refusal::TokenSpent)),
        TokenState::Revoked => return Ok(Err(Refusal::TokenRevoked)),
    }
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Ok(Err(Refusal::AgentFrozen));
    }
    if hold.quote_id != ask.quote {
        return Ok(Err(Refusal::QuoteMismatch));
    }
    let line = match line::choose(tx, env, hold, ask)? {
        Ok(line) => line,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Err(refusal) = line::fits(&line, ask.amount) {
        return Ok(Err(refusal));
    }
    let method = method::find(tx, &hold.payment_method)?.ok_or(DbError::NoRow)?;
    match method.state {
        // Where the bank wants to see the person, the rail says so, and the charge waits for them.
        MethodState::Active | MethodState::NeedsAuthentication => {}
        MethodState::Removed => return Ok(Err(Refusal::PaymentMethodRemoved)),
    }
    if method.stopped.contains(&hold.provider) {
        return Ok(Err(Refusal::PaymentDisputed));
    }
    if let Err(refusal) = line::bring_to_now(tx, env, hold, &line)? {
        return Ok(Err(refusal));
    }
    let order = RailOrder {
        charge: entry.id.clone(),
        rail: method.rail,
        method: method.reference,
        amount: ask.amount,
        provider: hold.provider.clone(),
        description: line.description.clone(),
    };
    Ok(Ok((line, order)))
}

fn begun(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<ChargeCreate>,
    entry: &Entry<'_>,
    line: &HeldLine,
    order: RailOrder,
) -> Result<Done<ChargeStep>, ChargeError> {
    let (Some(hold), Some(token)) = (entry.hold, entry.token) else { return Err(DbError::NoRow.into()) };
    let take =
        "update spend_hold_line set state = 'charging', charge = $4 where hold = $1 and line = $2 and period = $3 and state = 'open'";
    if tx.execute(take, params![hold.id, line.line, line.period, entry.id])? != 1 {
        return Err(DbError::Contention.into());
    }
    insert(tx, env, entry, Some(line), ChargeState::Begun, None)?;
    let resume = NewJob {
        kind: RESUME_JOB,
        payload: json!({"charge": entry.id}),
        run_at: env.now().plus_secs(limits::CHARGE_RESUME_S),
        dedupe: Some(format!("{RESUME_JOB}:{}", entry.id)),
    };
    let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), entry.id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([hold.id.as_str(), token.id.as_str(), token.prefix.as_str(), hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"amount": entry.ask.amount, "quote": hold.quote_id, "line": line.line, "period": entry.ask.period}));
    let event = under(tx, hold, event)?;
    Ok(Done::with_event(ChargeStep::Capture(order), event).and_job(resume))
}

fn refused(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<ChargeCreate>,
    entry: &Entry<'_>,
    refusal: Refusal,
) -> Result<Done<Receipt>, ChargeError> {
    insert(tx, env, entry, None, ChargeState::Refused, Some(refusal))?;
    let organisation = entry.hold.map(|hold| &hold.spender.organisation);
    let insert = "insert into spend_dispute (charge, provider, organisation, code, at) values ($1, $2, $3, $4, $5)";
    tx.execute(insert, params![entry.id, entry.provider, organisation, refusal.code(), env.now()])?;
    let mut event = Event::new(permit.verb(), Outcome::Refused(refusal.code().to_owned()), permit.caller(), entry.id.as_str())
        .with(json!({"amount": entry.ask.amount, "quote": entry.ask.quote, "line": entry.ask.line, "dispute": true}));
    if let (Some(hold), Some(token)) = (entry.hold, entry.token) {
        event = event.in_organisation(&hold.spender.organisation).related([
            hold.id.as_str(),
            token.id.as_str(),
            token.prefix.as_str(),
            hold.resource.as_str(),
            hold.spender.agent.as_str(),
        ]);
        event = under(tx, hold, event)?;
    }
    let receipt = Receipt {
        id: entry.id.clone(),
        state: ChargeState::Refused,
        code: Some(refusal.code().to_owned()),
        message: Some(refusal.to_string()),
    };
    Ok(Done::with_event(receipt, event))
}

fn insert(
    tx: &mut Tx<'_>,
    env: &Env,
    entry: &Entry<'_>,
    line: Option<&HeldLine>,
    state: ChargeState,
    refusal: Option<Refusal>,
) -> Result<(), DbError> {
    let insert = "insert into spend_charge (id, provider, request_key, request_digest, organisation, agent, hold, line, period, token,
                      amount, currency, remote_resource, state, code, message, begun_at, ended_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
                  on conflict (provider, request_key) do nothing";
    let Entry { id, provider, ask, digest, token, hold } = entry;
    let (organisation, agent) = (hold.map(|h| &h.spender.organisation), hold.map(|h| &h.spender.agent));
    let name = line.map_or(ask.line.as_str(), |line| line.line.as_str());
    let period = line.map(|line| line.period.as_str()).or(ask.period.as_deref());
    let now = env.now();
    let ended = (state != ChargeState::Begun).then_some(now);
    let (code, message) = (refusal.map(Refusal::code), refusal.map(|refusal| refusal.to_string()));
    let (hold, token, minor, currency) = (hold.map(|h| &h.id), token.map(|t| &t.id), ask.amount.minor(), ask.amount.currency());
    let who = params![id, provider, ask.key, digest, organisation, agent, hold, name, period, token];
    let what = params![minor, currency, ask.remote_resource, state.name(), code, message, now, ended];
    ledger::once(tx.execute(insert, &[who, what].concat())?)
}

/// What the key is bound to. The token goes in as its digest, so that no secret leaves its wrapping.
fn digest(ask: &ChargeAsk) -> Sha256Digest {
    let ChargeAsk { token, quote, line, amount, remote_resource, period, .. } = ask;
    Sha256Digest::of(json!([text::hash(token.expose()), quote, line, amount, remote_resource, period]).to_string().as_bytes())
}
