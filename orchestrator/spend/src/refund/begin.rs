//! The intent of a refund.

use purser_authority::action::RefundCreate;
use purser_authority::{Caller, Denied, Done, Event, Outcome, Permit};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::RefundId;
use purser_values::{Env, Sha256Digest};
use serde_json::json;

use super::{RESUME_JOB, RefundAsk, RefundError, RefundState, RefundStep, read};
use crate::charge::{self, Charge, ChargeState};
use crate::hold::{self, Hold};
use crate::under::under;
use crate::{ledger, limits};

/// Checks the refund and records that the rail is about to be asked. A repeat of the key gets the first answer, or the order again while
/// the rail's answer is missing. A freeze does not stop it: money that comes back narrows nothing.
///
/// # Errors
/// When the charge is not the provider's or took nothing, the key belongs to another refund, or it is more than is left.
pub fn begin(tx: &mut Tx<'_>, env: &Env, permit: &Permit<RefundCreate>, ask: &RefundAsk) -> Result<Done<RefundStep>, RefundError> {
    let env = &env.still();
    let Caller::Provider { provider } = permit.caller() else { return Err(Denied::NotFound.into()) };
    let digest = digest(ask);
    if let Some((refund, first)) = read::by_key(tx, provider, &ask.key)? {
        if first != digest {
            return Err(RefundError::KeyReused);
        }
        return Ok(Done::quiet(match (refund.state, read::order(tx, &refund.id)?) {
            (RefundState::Begun, Some(order)) => RefundStep::Give(order),
            _ => RefundStep::Ended(refund.receipt()),
        }));
    }
    let charge = charge::find(tx, &ask.charge)?.filter(|charge| charge.provider == *provider).ok_or(Denied::NotFound)?;
    fits(tx, &charge, ask)?;
    let hold = match &charge.hold {
        Some(id) => hold::find(tx, id)?.ok_or(DbError::NoRow)?,
        None => return Err(DbError::Corrupt(format!("the charge `{}` took money without a hold", charge.id)).into()),
    };
    let id = RefundId::mint(env);
    insert(tx, env, &id, ask, &digest, &hold)?;
    let order = read::order(tx, &id)?.ok_or(DbError::NoRow)?;
    let resume = NewJob {
        kind: RESUME_JOB,
        payload: json!({"refund": id}),
        run_at: env.now().plus_secs(limits::CHARGE_RESUME_S),
        dedupe: Some(format!("{RESUME_JOB}:{id}")),
    };
    let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([charge.id.as_str(), hold.id.as_str(), hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"amount": ask.amount, "reason": ask.reason}));
    let event = under(tx, &hold, event)?;
    Ok(Done::with_event(RefundStep::Give(order), event).and_job(resume))
}

/// INVARIANT (refund-within-charge): only what passes here reaches the rail.
fn fits(tx: &mut Tx<'_>, charge: &Charge, ask: &RefundAsk) -> Result<(), RefundError> {
    if charge.state != ChargeState::Succeeded {
        return Err(RefundError::NotCaptured);
    }
    if charge.amount.currency() != ask.amount.currency() {
        return Err(RefundError::Currency);
    }
    if !ask.amount.is_positive() {
        return Err(RefundError::Amount);
    }
    let left = read::left(tx, charge)?;
    if ask.amount.minor() > left.minor() { Err(RefundError::OverCharge { left }) } else { Ok(()) }
}

fn insert(tx: &mut Tx<'_>, env: &Env, id: &RefundId, ask: &RefundAsk, digest: &Sha256Digest, hold: &Hold) -> Result<(), DbError> {
    let insert = "insert into spend_refund (id, charge, provider, request_key, request_digest, organisation, agent, amount, currency,
                      reason, state, begun_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'begun', $11) on conflict (provider, request_key) do nothing";
    let (organisation, agent) = (&hold.spender.organisation, &hold.spender.agent);
    let reason: String = ask.reason.chars().take(limits::TEXT_CHARS).collect();
    let (minor, currency) = (ask.amount.minor(), ask.amount.currency());
    let values = params![id, ask.charge, hold.provider, ask.key, digest, organisation, agent, minor, currency, reason, env.now()];
    ledger::once(tx.execute(insert, values)?)
}

/// What the key is bound to.
fn digest(ask: &RefundAsk) -> Sha256Digest {
    Sha256Digest::of(json!([ask.charge, ask.amount, ask.reason]).to_string().as_bytes())
}
