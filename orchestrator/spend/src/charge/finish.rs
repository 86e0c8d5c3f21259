//! The outcome of a charge, once the rail has answered.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::{DbError, Tx, params};
use purser_values::id::ChargeId;
use purser_values::{Currency, Env};
use serde_json::json;

use super::{Charge, ChargeError, ChargeState, Receipt, confirmation, read};
use crate::hold::{self, HeldLine, Hold};
use crate::ledger::{self, Guard, Movement, Reason};
use crate::rail::RailOutcome;
use crate::refund::due;
use crate::under::under;
use crate::{alert, budget, limits, method, renewal, share};

/// Records what the rail did: captured money leaves the hold, a declined line is free again. Finishing twice does nothing;
/// a freeze or a revocation since the beginning changes nothing either, because the money has moved.
///
/// # Errors
/// When there is no such charge, or the store fails.
pub fn finish(tx: &mut Tx<'_>, env: &Env, id: &ChargeId, outcome: &RailOutcome) -> Result<Done<Receipt>, ChargeError> {
    let env = &env.still();
    let charge = read::find(tx, id)?.ok_or(purser_authority::Denied::NotFound)?;
    if !charge.state.is_open() {
        return Ok(Done::quiet(charge.receipt()));
    }
    let hold = match &charge.hold {
        Some(hold) => hold::find(tx, hold)?.ok_or(DbError::NoRow)?,
        None => return Err(DbError::Corrupt(format!("the charge `{id}` was begun without a hold")).into()),
    };
    let line = charging_line(tx, &hold, &charge)?;
    match outcome {
        RailOutcome::Captured { reference } => captured(tx, env, &charge, &hold, &line, reference),
        RailOutcome::Declined { code, message } => declined(tx, env, &charge, &hold, &line, code, message),
        RailOutcome::RequiresAction => confirmation::wait(tx, env, &charge, &hold),
    }
}

fn captured(
    tx: &mut Tx<'_>,
    env: &Env,
    charge: &Charge,
    hold: &Hold,
    line: &HeldLine,
    reference: &str,
) -> Result<Done<Receipt>, ChargeError> {
    // Where the provider took less than was agreed, the rest is free again.
    share::capture(tx, env, hold, line, charge.amount, charge.id.as_str())?;
    pay(tx, env, charge, hold)?;
    set_line(tx, hold, line, "charged")?;
    end(tx, env, charge, ChargeState::Succeeded, None, None, Some(reference))?;
    confirmation::over(tx, &charge.id)?;
    method::was_confirmed(tx, &hold.payment_method)?;
    renewal::note(tx, hold, line, charge.begun_at)?;
    hold::settle(tx, hold)?;
    let data =
        json!({"amount": charge.amount, "provider": hold.provider, "project": hold.project, "line": line.line, "period": charge.period});
    let event = under(tx, hold, event(charge, hold, Outcome::Done).with(data))?;
    let mut done = Done::with_event(receipt(charge, ChargeState::Succeeded, None, None), event);
    for book in share::books(tx, hold, line.month)? {
        let alerts = alert::of_cap(tx, env, &book)?;
        done.absorb(alerts);
    }
    let alerts = budget::captured(tx, env, hold, line, charge)?;
    done.absorb(alerts);
    Ok(done)
}

fn declined(
    tx: &mut Tx<'_>,
    env: &Env,
    charge: &Charge,
    hold: &Hold,
    line: &HeldLine,
    code: &str,
    message: &str,
) -> Result<Done<Receipt>, ChargeError> {
    let message: String = message.chars().take(limits::TEXT_CHARS).collect();
    if hold.state.pays() {
        set_line(tx, hold, line, "open")?;
    } else {
        // The hold was given back while the rail was asked; this line follows now.
        share::release(tx, env, hold, line, charge.id.as_str())?;
        set_line(tx, hold, line, "released")?;
    }
    end(tx, env, charge, ChargeState::Declined, Some(code), Some(&message), None)?;
    confirmation::over(tx, &charge.id)?;
    // Nothing was taken: whoever waits for it to come back need not any more.
    due::settle(tx, &Charge { state: ChargeState::Declined, ..charge.clone() })?;
    let data = json!({"amount": charge.amount, "provider": hold.provider, "line": line.line});
    let event = under(tx, hold, event(charge, hold, Outcome::Failed(code.to_owned())).with(data))?;
    Ok(Done::with_event(receipt(charge, ChargeState::Declined, Some(code), Some(&message)), event))
}

/// The money itself: from the organisation's payment method to the provider.
fn pay(tx: &mut Tx<'_>, env: &Env, charge: &Charge, hold: &Hold) -> Result<(), DbError> {
    let (amount, subject, accounts) = (charge.amount, charge.id.as_str(), accounts(hold, charge.amount.currency()));
    let (source, target) = (&accounts.payer, &accounts.paid);
    for account in [source, target] {
        ledger::open(tx, account, amount.currency())?;
    }
    ledger::transfer(tx, env, &Movement { reason: Reason::Payment, source, target, amount, subject, guard: Guard::Free }).map(drop)
}

/// The two ledger accounts between which the money of a hold goes to and fro.
pub(crate) struct Accounts {
    pub payer: String,
    pub paid: String,
}

pub(crate) fn accounts(hold: &Hold, currency: Currency) -> Accounts {
    let organisation = &hold.spender.organisation;
    Accounts {
        payer: format!("money/{organisation}/payer/{}/{currency}", hold.payment_method),
        paid: format!("money/{organisation}/paid/{}/{currency}", hold.provider),
    }
}

fn charging_line(tx: &mut Tx<'_>, hold: &Hold, charge: &Charge) -> Result<HeldLine, DbError> {
    let select = "select line, period, month, description, amount, recurs, state from spend_hold_line
                  where hold = $1 and charge = $2 and state = 'charging'";
    let row = tx.query_one(select, params![hold.id, charge.id])?;
    hold::line_row(&row, hold.amount.currency())
}

fn set_line(tx: &mut Tx<'_>, hold: &Hold, line: &HeldLine, state: &'static str) -> Result<(), DbError> {
    let update = "update spend_hold_line set state = $4 where hold = $1 and line = $2 and period = $3 and state = 'charging'";
    match tx.execute(update, params![hold.id, line.line, line.period, state])? {
        1 => Ok(()),
        _ => Err(DbError::Contention),
    }
}

fn end(
    tx: &mut Tx<'_>,
    env: &Env,
    charge: &Charge,
    state: ChargeState,
    code: Option<&str>,
    message: Option<&str>,
    reference: Option<&str>,
) -> Result<(), DbError> {
    let update = "update spend_charge set state = $2, code = $3, message = $4, rail_reference = $5, ended_at = $6 where id = $1";
    tx.execute(update, params![charge.id, state.name(), code, message, reference, env.now()]).map(drop)
}

fn event(charge: &Charge, hold: &Hold, outcome: Outcome) -> Event {
    let caller = Caller::Provider { provider: charge.provider.clone() };
    let token = charge.token.as_ref().map(ToString::to_string);
    Event::new("charge_create", outcome, &caller, charge.id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([hold.id.as_str(), hold.resource.as_str(), hold.spender.agent.as_str(), hold.grant.as_str()])
        .related(token)
}

fn receipt(charge: &Charge, state: ChargeState, code: Option<&str>, message: Option<&str>) -> Receipt {
    Receipt { id: charge.id.clone(), state, code: code.map(str::to_owned), message: message.map(str::to_owned) }
}
