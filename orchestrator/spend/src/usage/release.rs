//! Blocks of use that nobody needs go back: their provider says so, or the time in which they could be charged is over.

use purser_authority::action::UsageRelease;
use purser_authority::{Caller, Denied, Done, Event, Outcome, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::id::HoldId;
use purser_values::{Env, Month, Secret};
use serde_json::json;

use crate::charge::{ChargeError, Refusal};
use crate::hold::{self, HeldLine, Hold, LineState};
use crate::{limits, token};

/// Which block. The provider itself is the permit's caller.
#[derive(Debug)]
pub struct UsageBlock {
    pub token: Secret<String>,
    pub quote: String,
    pub line: String,
    /// The provider's billing period.
    pub period: Month,
    pub block: u32,
}

/// Gives the block back; one that is not there or went back before is given back already. Answers why not.
///
/// # Errors
/// When the caller is not a provider, or the store fails. A refusal is a value, because it is recorded.
pub fn release(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<UsageRelease>,
    block: &UsageBlock,
) -> Result<Done<Option<Refusal>>, ChargeError> {
    let Caller::Provider { provider } = permit.caller() else { return Err(Denied::NotFound.into()) };
    let Some(token) = token::by_plain(tx, &block.token)?.filter(|token| token.provider == *provider) else {
        return Ok(Done::quiet(Some(Refusal::TokenUnknown)));
    };
    let hold = hold::find(tx, &token.hold)?.ok_or(DbError::NoRow)?;
    if hold.quote_id != block.quote {
        return Ok(Done::quiet(Some(Refusal::QuoteMismatch)));
    }
    let period = format!("{}/{}", block.period, block.block);
    let found = hold::lines(tx, &hold)?.into_iter().find(|line| line.line == block.line && line.period == period && line.is_block());
    let refusal = match found.as_ref().map(|line| line.state) {
        None | Some(LineState::Released) => return Ok(Done::quiet(None)),
        Some(LineState::Charged) => Some(Refusal::LineCharged),
        Some(LineState::Charging) => Some(Refusal::LineBusy),
        Some(LineState::Open) => None,
    };
    if let (None, Some(line)) = (refusal, &found) {
        give_back(tx, env, &hold, line)?;
    }
    let outcome = refusal.map_or(Outcome::Done, |refusal| Outcome::Refused(refusal.code().to_owned()));
    let event = Event::new(permit.verb(), outcome, permit.caller(), hold.id.as_str());
    Ok(Done::with_event(refusal, described(event, &hold, &period).related([token.prefix.as_str()])))
}

/// Gives back blocks of months that are long over, a batch at a time. Answers how many; call again until it is none.
///
/// # Errors
/// When the store fails.
pub fn release_old(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let old = "select hold, line, period from spend_hold_line
               where recurs = 'metered' and state = 'open' and period <> '' and month < $1 order by month, hold, line, period limit $2";
    let rows = tx.query(old, params![env.now().plus_secs(-limits::USAGE_KEPT_S).month(), limits::BATCH])?;
    let mut done = Done::quiet(rows.len());
    for row in rows {
        let id: HoldId = row.parse("hold")?;
        let (name, period): (String, String) = (row.get("line")?, row.get("period")?);
        let hold = hold::find(tx, &id)?.ok_or(DbError::NoRow)?;
        let line = hold::lines(tx, &hold)?.into_iter().find(|line| line.line == name && line.period == period).ok_or(DbError::NoRow)?;
        give_back(tx, env, &hold, &line)?;
        done = done.and_event(described(Event::done("usage_release", &Caller::System, id.as_str()), &hold, &period));
    }
    Ok(done)
}

fn give_back(tx: &mut Tx<'_>, env: &Env, hold: &Hold, line: &HeldLine) -> Result<(), DbError> {
    hold::release_line(tx, env, hold, line)?;
    hold::settle(tx, hold)
}

fn described(event: Event, hold: &Hold, period: &str) -> Event {
    event
        .in_organisation(&hold.spender.organisation)
        .related([hold.resource.as_str(), hold.spender.agent.as_str()])
        .with(json!({"period": period, "provider": hold.provider}))
}
