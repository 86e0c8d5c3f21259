//! The outcome of a refund, once the rail has answered.

use purser_authority::{Caller, Denied, Done, Event, Outcome};
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::RefundId;
use serde_json::json;

use super::{Refund, RefundError, RefundReceipt, RefundState, due, read};
use crate::charge::{self, Charge};
use crate::hold::{self, Hold};
use crate::ledger::{self, Guard, Movement, Reason};
use crate::rail::RefundOutcome;
use crate::share::Counted;
use crate::under::under;
use crate::{budget, limits, share};

/// Records what the rail did: money that came back is room again in the month in which it was charged. Finishing twice does nothing.
///
/// # Errors
/// When there is no such refund, or the store fails.
pub fn finish(tx: &mut Tx<'_>, env: &Env, id: &RefundId, outcome: &RefundOutcome) -> Result<Done<RefundReceipt>, RefundError> {
    let env = &env.still();
    let mut refund = read::find(tx, id)?.ok_or(Denied::NotFound)?;
    if refund.state != RefundState::Begun {
        return Ok(Done::quiet(refund.receipt()));
    }
    let charge = charge::find(tx, &refund.charge)?.ok_or(DbError::NoRow)?;
    let hold = match &charge.hold {
        Some(hold) => hold::find(tx, hold)?.ok_or(DbError::NoRow)?,
        None => return Err(DbError::Corrupt(format!("the refund `{id}` has no hold")).into()),
    };
    let (reference, how) = match outcome {
        RefundOutcome::Refunded { reference } => {
            give_back(tx, env, &refund, &charge, &hold)?;
            budget::refunded(tx, &charge.id, refund.amount)?;
            refund.state = RefundState::Succeeded;
            (Some(reference.as_str()), Outcome::Done)
        }
        RefundOutcome::Declined { code, message } => {
            refund.state = RefundState::Failed;
            refund.code = Some(code.clone());
            refund.message = Some(message.chars().take(limits::TEXT_CHARS).collect());
            (None, Outcome::Failed(code.clone()))
        }
    };
    let update = "update spend_refund set state = $2, code = $3, message = $4, rail_reference = $5, ended_at = $6 where id = $1";
    tx.execute(update, params![id, refund.state.name(), refund.code, refund.message, reference, env.now()])?;
    due::settle(tx, &charge)?;
    let caller = Caller::Provider { provider: refund.provider.clone() };
    let event = Event::new("refund_create", how, &caller, id.as_str())
        .in_organisation(&hold.spender.organisation)
        .related([charge.id.as_str(), hold.id.as_str(), hold.resource.as_str(), hold.spender.agent.as_str(), hold.grant.as_str()])
        .with(json!({"amount": refund.amount, "provider": refund.provider, "project": hold.project, "reason": refund.reason}));
    let event = under(tx, &hold, event)?;
    Ok(Done::with_event(refund.receipt(), event))
}

/// Both halves of the charge go back the way they came: the cap's room, and the money itself.
fn give_back(tx: &mut Tx<'_>, env: &Env, refund: &Refund, charge: &Charge, hold: &Hold) -> Result<(), DbError> {
    let select = "select line, period, month from spend_hold_line where hold = $1 and charge = $2";
    let row = tx.query_one(select, params![hold.id, charge.id])?;
    let (line, period): (String, String) = (row.get("line")?, row.get("period")?);
    let counted = Counted { line: &line, period: &period, month: row.parse("month")? };
    share::give_back(tx, env, hold, &counted, refund.amount, refund.id.as_str())?;
    let accounts = charge::accounts(hold, refund.amount.currency());
    let movement = Movement {
        reason: Reason::Refund,
        source: &accounts.paid,
        target: &accounts.payer,
        amount: refund.amount,
        subject: refund.id.as_str(),
        guard: Guard::Covered,
    };
    if ledger::transfer(tx, env, &movement)? {
        return Ok(());
    }
    Err(DbError::Corrupt(format!("`{}` was paid less than the refund `{}` gives back", accounts.paid, refund.id)))
}
