//! A rail says that a payment is disputed, or how that ended.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use serde_json::json;

use crate::alert::{self, Cause};
use crate::rail::{self, ChargebackState};
use crate::{charge, hold, limits};

/// Writes the dispute down, or its end. What is no charge of ours is answered with `false`. A dispute that has ended never opens again.
///
/// # Errors
/// When the store fails.
pub fn record(tx: &mut Tx<'_>, env: &Env, rail: &str, news: &rail::Chargeback) -> Result<Done<bool>, DbError> {
    let Some(charge) = charge::by_capture(tx, rail, &news.capture)? else { return Ok(Done::quiet(false)) };
    let Some(id) = &charge.hold else { return Ok(Done::quiet(false)) };
    let hold = hold::find(tx, id)?.ok_or(DbError::NoRow)?;
    let ended_at = (news.state != ChargebackState::Open).then(|| env.now());
    let reason: String = news.reason.chars().take(limits::TEXT_CHARS).collect();
    let insert = "insert into spend_chargeback (rail, reference, charge, organisation, agent, provider, payment_method, amount, currency,
                      reason, state, since, ended_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                  on conflict (rail, reference) do update set state = excluded.state, ended_at = excluded.ended_at
                  where spend_chargeback.state = 'open' and excluded.state <> 'open'";
    let (organisation, agent) = (&hold.spender.organisation, &hold.spender.agent);
    let who = params![rail, news.reference, charge.id, organisation, agent, charge.provider, hold.payment_method];
    let what = params![news.amount.minor(), news.amount.currency(), reason, news.state.name(), env.now(), ended_at];
    if tx.execute(insert, &[who, what].concat())? == 0 {
        return Ok(Done::quiet(true));
    }
    super::keep_stopped(tx, &hold.payment_method)?;
    let cause = Cause::Chargeback { charge: charge.id.clone(), provider: charge.provider.clone(), amount: news.amount, state: news.state };
    let key = format!("{rail}:{}:{}", news.reference, news.state.name());
    let told = alert::raise(tx, env, organisation, Some(agent), &key, &cause)?;
    let event = Event::new("chargeback", Outcome::Done, &Caller::System, charge.id.as_str())
        .in_organisation(organisation)
        .related([hold.id.as_str(), hold.resource.as_str(), agent.as_str(), hold.payment_method.as_str()])
        .with(json!({"amount": news.amount, "provider": charge.provider, "state": news.state, "reason": reason, "rail": rail}));
    let mut done = Done::with_event(true, event);
    done.absorb(told);
    Ok(done)
}
