//! Before a seller's token exists, and when the rail has made it.

use purser_authority::action::ResourceAdd;
use purser_authority::{Caller, Denied, Done, Event, Outcome, Permit};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::{ChargeId, HoldId};
use purser_values::{Env, Sha256Digest};
use serde_json::json;

use super::settle::UNUSED;
use super::{Out, of_charge, of_hold};
use crate::charge::{self, ChargeError, RESUME_JOB};
use crate::hold::{self, HeldLine, Hold, HoldState, LineState};
use crate::method::{self, MethodState};
use crate::quote::Recurs;
use crate::rail::{RailOutcome, SellerTokenOrder};
use crate::token::{self, PaymentToken, TokenError, TokenState};
use crate::under::under;
use crate::{freeze, ledger, limits, spender};

/// Writes down that a token for this seller is about to be made of the hold, and what it may be at most. Nothing where the hold is not
/// of a kind that one such token can pay: it is one line, paid once, on a card that works. A repeat answers the first order.
///
/// # Errors
/// When the caller may not spend, or the hold has ended.
pub fn offer(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<ResourceAdd>,
    id: &HoldId,
    seller: &str,
) -> Result<Done<Option<SellerTokenOrder>>, TokenError> {
    let env = &env.still();
    let hold = hold::find(tx, id)?.ok_or(Denied::NotFound)?;
    spender::allowed(permit.caller(), &hold.spender, Some(&hold.grant))?;
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Err(Denied::Frozen.into());
    }
    if let Some(charge) = of_hold(tx, id)? {
        return Ok(Done::quiet(of_charge(tx, env, &charge)?.map(|out| out.order)));
    }
    let token = token::of_hold(tx, id)?.filter(|token| token.state == TokenState::Active).ok_or(TokenError::HoldEnded)?;
    if hold.state != HoldState::Open || hold.expires_at <= env.now() {
        return Err(TokenError::HoldEnded);
    }
    let lines = hold::lines(tx, &hold)?;
    let [line] = lines.as_slice() else { return Ok(Done::quiet(None)) };
    let method = method::find(tx, &hold.payment_method)?.ok_or(DbError::NoRow)?;
    let works = method.state == MethodState::Active && !method.stopped.contains(&hold.provider);
    if line.recurs != Recurs::Once || line.state != LineState::Open || !works {
        return Ok(Done::quiet(None));
    }
    let charge = ChargeId::mint(env);
    begin(tx, env, &charge, &hold, line, &token, seller)?;
    let order = SellerTokenOrder {
        charge: charge.clone(),
        token: token.id.clone(),
        rail: method.rail,
        method: method.reference,
        seller: seller.to_owned(),
        most: line.amount,
        expires_at: hold.expires_at,
    };
    let look = NewJob {
        kind: RESUME_JOB,
        payload: json!({ "charge": charge }),
        run_at: env.now().plus_secs(limits::CHARGE_RESUME_S),
        dedupe: Some(format!("{RESUME_JOB}:{charge}")),
        lane: None,
    };
    let event = Event::new("seller_token_issue", Outcome::Intended, permit.caller(), charge.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([hold.id.as_str(), token.id.as_str(), hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"provider": hold.provider, "seller": seller, "limit": line.amount, "until": hold.expires_at}));
    Ok(Done::with_event(Some(order), under(tx, &hold, event)?).and_job(look))
}

/// The line is being charged from here on. The order has no key of the provider's, so it has one that no provider can know.
fn begin(
    tx: &mut Tx<'_>,
    env: &Env,
    charge: &ChargeId,
    hold: &Hold,
    line: &HeldLine,
    token: &PaymentToken,
    seller: &str,
) -> Result<(), DbError> {
    let take =
        "update spend_hold_line set state = 'charging', charge = $4 where hold = $1 and line = $2 and period = $3 and state = 'open'";
    ledger::once(tx.execute(take, params![hold.id, line.line, line.period, charge])?)?;
    let insert = "insert into spend_charge (id, provider, request_key, request_digest, organisation, agent, hold, line, period, token,
                      amount, currency, state, begun_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'begun', $13)";
    let digest = Sha256Digest::of(json!([hold.id, line.line, line.amount, seller]).to_string().as_bytes());
    let who =
        params![charge, hold.provider, charge, digest, hold.spender.organisation, hold.spender.agent, hold.id, line.line, line.period];
    let what = params![token.id, line.amount.minor(), line.amount.currency(), env.now()];
    tx.execute(insert, &[who, what].concat())?;
    let insert = "insert into spend_seller_token (charge, hold, token, seller, expires_at) values ($1, $2, $3, $4, $5)";
    tx.execute(insert, params![charge, hold.id, token.id, seller, hold.expires_at]).map(drop)
}

/// The rail has made it. Answers how it stands by now: what is not wanted any more is never handed over, and is revoked.
///
/// # Errors
/// When there is no such order any more.
pub fn issued(tx: &mut Tx<'_>, env: &Env, charge: &ChargeId, reference: &str) -> Result<Done<Out>, DbError> {
    let update = "update spend_seller_token set reference = $2 where charge = $1 and (reference is null or reference = $2)";
    ledger::once(tx.execute(update, params![charge, reference])?)?;
    let out = of_charge(tx, env, charge)?.ok_or(DbError::NoRow)?;
    let held = hold::find(tx, &out.hold)?.ok_or(DbError::NoRow)?;
    let event = Event::done("seller_token_issue", &Caller::System, charge.as_str()).in_organisation(&held.spender.organisation).related([
        held.id.as_str(),
        held.resource.as_str(),
        held.spender.agent.as_str(),
    ]);
    let event = under(tx, &held, event)?;
    let job = if out.is_wanted { None } else { super::look_again_at(tx, env, &out.hold)? };
    let done = Done::with_event(out, event);
    Ok(match job {
        Some(job) => done.and_job(job),
        None => done,
    })
}

/// The rail makes no such token: the line is open again, for our own; where its hold went back meanwhile, it follows.
///
/// # Errors
/// When the store fails.
pub fn not_offered(tx: &mut Tx<'_>, env: &Env, charge: &ChargeId) -> Result<Done<()>, ChargeError> {
    let Some(out) = of_charge(tx, env, charge)?.filter(|out| out.reference.is_none()) else { return Ok(Done::quiet(())) };
    tx.execute("delete from spend_seller_token where charge = $1", params![charge])?;
    if !hold::find(tx, &out.hold)?.ok_or(DbError::NoRow)?.state.pays() {
        let none = RailOutcome::Declined { code: UNUSED.to_owned(), message: "the rail makes no token for this seller".to_owned() };
        return Ok(charge::finish(tx, env, charge, &none)?.map(drop));
    }
    let open = "update spend_hold_line set state = 'open', charge = null where charge = $1 and state = 'charging'";
    ledger::once(tx.execute(open, params![charge])?)?;
    ledger::once(tx.execute("delete from spend_charge where id = $1 and state = 'begun'", params![charge])?)?;
    Ok(Done::quiet(()))
}
